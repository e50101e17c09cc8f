"""How the API tells those who watch: one reader for all of a process, and a stream for each."""
