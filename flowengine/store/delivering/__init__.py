"""Deliveries of executions' results, as they are stored."""
