"""Rules of nodes that run as child executions. Pure."""
