"""How many may run at once, and how often: what a document says of it (LANGUAGE section 8)."""
