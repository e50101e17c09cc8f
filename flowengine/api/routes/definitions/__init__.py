"""`/definitions`: documents that are applied under their names."""
