"""Chains over a real server."""
