"""What the crash points strike."""
