"""Tests of the rules for queues."""
