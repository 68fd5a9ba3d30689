"""HTTP: security checks, requests, responses, schemas, routes, and the app."""
