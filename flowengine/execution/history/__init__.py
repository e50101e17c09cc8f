"""What is told of executions: events, lines of nodes, and how the API shows them. Pure."""
