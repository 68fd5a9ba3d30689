"""The nouns and the pure rules; no I/O."""
