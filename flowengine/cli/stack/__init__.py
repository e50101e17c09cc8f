"""The commands that ask a stack over HTTP, by `flowengine.client`. Importing them loads no library of it."""
