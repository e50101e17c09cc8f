"""The streams of executions, as those read them who look at what has happened."""
