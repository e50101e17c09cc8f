"""Schedules at work: how one stands, and what its times bring about. Pure."""
