"""How executions begin: what is checked, rendered and put together for them before that."""
