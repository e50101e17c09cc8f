"""Who runs and who waits for a turn."""
