"""What callers ask for that is about many executions, or may be asked again. Pure."""
