"""The routes of the production API and the control API."""
