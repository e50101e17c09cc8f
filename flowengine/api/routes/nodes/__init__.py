"""Routes about one node of an execution."""
