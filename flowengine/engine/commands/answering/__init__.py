"""Commands that answer what a node waits for: a signal, a decision, a callback."""
