"""Files of tests: their shape, how they are read, and every problem in them."""
