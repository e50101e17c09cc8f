"""Routes that tell what has happened in an execution."""
