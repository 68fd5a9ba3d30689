"""Benchmarks of localqueue, its limits and its peers: `python -m benchmarks --help`."""
