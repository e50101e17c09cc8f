"""Real servers on free loopback ports, for the engine to talk to."""
