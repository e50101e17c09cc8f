"""Who runs next, and what may be seen of it."""
