"""Long runs that look for what no single test would find: `make campaign`; each has a short form in the suite."""
