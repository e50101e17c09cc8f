"""Rigs: parts of the engine put together so that a test can drive, break and watch them."""
