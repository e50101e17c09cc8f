"""Chains in Redis."""
