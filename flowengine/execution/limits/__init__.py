"""Lines: who may run, and who waits for a turn. Pure data."""
