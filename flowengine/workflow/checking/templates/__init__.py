"""What templates read: which nodes and fields, and of which types."""
