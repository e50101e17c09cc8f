"""What callers ask of an execution: load, let a rule decide, commit its changes."""
