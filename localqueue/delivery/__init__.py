"""One HTTP attempt and how it ended; retries are decided elsewhere."""
