"""Rules of what operators do to executions and nodes. Pure."""
