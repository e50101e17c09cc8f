"""What several routes that start executions have in common."""
