"""Lists of executions: in which lists they stand, how pages of these are read, what of them waits."""
