"""A document as it is posted: what it was written in, what it says, and what of a wrong one can be drawn."""
