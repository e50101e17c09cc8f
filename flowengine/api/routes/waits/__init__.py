"""Routes of nodes that wait for somebody."""
