"""The dashboard: static files that talk to the control API."""
