"""What `flowengine dev` does while people write: it watches files, applies workflows, reloads handlers."""
