"""Lines in Redis."""
