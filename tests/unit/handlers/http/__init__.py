"""The handlers that call over HTTP: what they send, what they take, when they try again."""
