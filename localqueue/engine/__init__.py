"""What runs when: slots, due times, running attempts, and moved time."""
