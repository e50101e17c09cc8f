"""Nodes of async handlers, which hold no thread: what begins them, and what reports them."""
