"""What timers, the sweep and the start of a process ask of Redis."""
