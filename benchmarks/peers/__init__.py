"""Run the queues that a developer could use instead, each under the same load, worker and concurrency."""
