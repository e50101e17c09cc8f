"""A node that runs once for each item of a list: what a document says of it (LANGUAGE section 6)."""
