"""What is done with chains: the ends of executions start those that follow."""
