"""Compare a queue with the platform's rules, from outside."""
