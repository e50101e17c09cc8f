"""Runs one execution in this process: the engine of production, a store in memory, a clock that jumps."""
