"""Whether a server is one that state can be kept on: checked at each start and in `/health`."""
