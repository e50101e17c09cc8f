"""Keys, sessions and the audit in Redis."""
