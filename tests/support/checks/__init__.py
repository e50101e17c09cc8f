"""What must hold of every execution, whatever a test did."""
