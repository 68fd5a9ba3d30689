"""Measure localqueue against its limits and its peers; `python -m benchmarks --help` says how."""
