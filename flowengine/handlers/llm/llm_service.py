"""The handler `llm_service`: one answer of a language model.

The base URL, the key and the default model are the worker's (LLM_BASE_URL, LLM_API_KEY, LLM_MODEL), so that
no workflow can send the key elsewhere.
"""

from __future__ import annotations

from typing import Final

import msgspec

from flowengine.handlers.llm.chat_config import READ_BY_THE_MODEL, LlmConfig
from flowengine.jsonvalue import JsonValue
from flowengine.plugin.context import Context
from flowengine.plugin.errors import ModelCall
from flowengine.plugin.registry import handler
from flowengine.settings.model import LlmSettings

MAX_CONFIG_BYTES: Final = 64 * 1024
"""A prompt with its instructions and examples is longer than other configs are."""


class LlmOutput(msgspec.Struct, frozen=True, kw_only=True):
    """The answer. `usage` is what the service reports of it: token counts by name.

    `calls` lists every call that was made for it, those that failed too.
    """

    content: str
    model: str
    usage: dict[str, JsonValue]
    finish_reason: str | None
    calls: list[ModelCall]


@handler(
    "llm_service",
    primary="content",
    no_secrets_in=READ_BY_THE_MODEL,
    output=LlmOutput,
    max_config_bytes=MAX_CONFIG_BYTES,
)
async def llm_service(config: LlmConfig, context: Context, settings: LlmSettings) -> LlmOutput:
    """Asks a language model (OpenAI-compatible); waits where it is asked too often, retries what may pass."""
    # Imported at the first call, since processes that only validate workflows need no HTTP client.
    from flowengine.handlers.llm.chat_request import chat_request
    from flowengine.handlers.llm.model_calls import ModelCalls

    request = chat_request(config, settings)
    calls = ModelCalls(request, context, settings)
    answer = await calls.answer(config.on_length)
    return LlmOutput(
        content=answer.content,
        model=answer.model or request.model,
        usage=answer.usage or {},
        finish_reason=answer.finish_reason,
        calls=calls.calls,
    )
