"""Groups: nodes that are small graphs of their own, and how the plan says so."""
