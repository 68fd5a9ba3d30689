"""A client for a running server."""
