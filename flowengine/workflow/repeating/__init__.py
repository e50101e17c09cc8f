"""`repeat`: a node that runs again and again, until a condition holds (LANGUAGE section 6)."""
