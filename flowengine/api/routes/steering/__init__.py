"""Routes that steer executions."""
