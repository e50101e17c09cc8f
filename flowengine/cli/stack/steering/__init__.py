"""Commands that steer executions of a stack."""
