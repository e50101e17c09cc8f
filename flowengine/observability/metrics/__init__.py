"""What a process counts, and how Prometheus is told. Counting is adding to plain numbers."""
