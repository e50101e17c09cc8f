"""The pure parts of `llm_service`."""
