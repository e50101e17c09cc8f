"""New executions that reruns make of others: the command that stores one, and the steps that fill it."""
