"""Definitions in Redis."""
