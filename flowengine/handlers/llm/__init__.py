"""`llm_service`: one answer of a language model, over the OpenAI-compatible chat completions API."""
