"""What a test expected and what came of it: differences, coverage, reports."""
