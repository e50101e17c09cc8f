"""Chains at work: whom an end starts, and what is kept of that. Pure."""
