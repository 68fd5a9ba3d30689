"""Catalog files: reading them, checking them, and the catalog in force."""
