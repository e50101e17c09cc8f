"""Chains: definitions that start when executions of others end."""
