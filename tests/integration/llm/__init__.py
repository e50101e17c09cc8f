"""`llm_service` against real servers."""
