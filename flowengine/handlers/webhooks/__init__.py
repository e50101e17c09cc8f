"""Signed calls to the addresses that callers have named for their executions' results."""
