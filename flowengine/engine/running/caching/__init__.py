"""Results that are given again: which are the same, and where they are kept (LANGUAGE section 8)."""
