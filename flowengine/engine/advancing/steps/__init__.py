"""What one message or timer each asks of an execution, beside the ends of nodes."""
