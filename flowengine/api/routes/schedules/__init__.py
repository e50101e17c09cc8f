"""`/schedules`: when executions of definitions start by themselves."""
