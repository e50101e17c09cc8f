"""What a worker does with the iterations of a node that repeats."""
