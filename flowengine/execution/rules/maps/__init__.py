"""The rules of maps: how their items become known, are sent, end, and end their node (LANGUAGE section 6)."""
