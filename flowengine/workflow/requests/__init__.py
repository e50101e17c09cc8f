"""What comes with requests about executions that are there already."""
