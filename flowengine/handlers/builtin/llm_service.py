"""`llm_service`: one answer of a language model, over the OpenAI-compatible chat completions API.

The base URL, the key and the default model are the worker's (LLM_BASE_URL, LLM_API_KEY, LLM_MODEL), so that
no workflow can send the key elsewhere. Retries are those of every HTTP call.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from flowengine.execution.error_codes import (
    INVALID_RESPONSE,
    LLM_NO_CONTENT,
    LLM_NOT_CONFIGURED,
    RESPONSE_TOO_LARGE,
)
from flowengine.jsonvalue import JsonValue
from flowengine.plugin.context import Context
from flowengine.plugin.errors import HandlerError
from flowengine.plugin.registry import handler
from flowengine.settings.model import LlmSettings


class ChatMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One message of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Annotated[
        str | list[dict[str, Any]], msgspec.Meta(description="Text, or the API's list of parts.")
    ]


class LlmConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to ask: `prompt`, or `messages` for a whole conversation."""

    prompt: Annotated[str | None, msgspec.Meta(description="The question, as one user message.")] = None
    messages: Annotated[
        list[ChatMessage] | None, msgspec.Meta(description="A conversation, instead of `prompt`.")
    ] = None
    model: Annotated[str | None, msgspec.Meta(description="Default: the worker's LLM_MODEL.")] = None
    system: Annotated[str | None, msgspec.Meta(description="Instructions, put before everything else.")] = (
        None
    )
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2, description="0 to 2.")] | None = None
    max_tokens: Annotated[int, msgspec.Meta(ge=1, description="The longest answer.")] | None = None
    response_format: Annotated[
        str | dict[str, Any] | None,
        msgspec.Meta(description="`json_object`, or the API's own object. `content` stays text."),
    ] = None

    def __post_init__(self) -> None:
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("give either `prompt` or `messages`")
        if self.messages is not None and not self.messages:
            raise ValueError("`messages` is empty")


class LlmOutput(msgspec.Struct, frozen=True, kw_only=True):
    """The answer. `usage` is what the service reports: token counts by name."""

    content: str
    model: str
    usage: dict[str, JsonValue]
    finish_reason: str | None


class _AnswerMessage(msgspec.Struct):
    content: str | list[dict[str, Any]] | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct):
    message: _AnswerMessage
    finish_reason: str | None = None


class _Completion(msgspec.Struct):
    choices: Annotated[list[_Choice], msgspec.Meta(min_length=1)]
    model: str | None = None
    usage: dict[str, Any] | None = None


@handler("llm_service", primary="content", output=LlmOutput)
def llm_service(config: LlmConfig, context: Context, settings: LlmSettings) -> LlmOutput:
    """Asks a language model (OpenAI-compatible); retries 5xx, 429, timeouts and connection failures."""
    # Imported at the first call, since processes that only validate workflows need no HTTP client.
    from flowengine.handlers.http.answer import count_marks
    from flowengine.handlers.http.outgoing_request import prepare_request
    from flowengine.handlers.http.retries import call

    payload = _payload(config, settings)
    request = prepare_request(
        method="POST", url=_endpoint(settings), headers=_headers(settings), params={}, body=payload
    )
    body = call(request, context, retry_base_s=settings.http.retry_base_s).body
    limit = settings.http.max_result_bytes
    if count_marks(body) > limit:
        raise HandlerError(
            RESPONSE_TOO_LARGE.code,
            f"{request.label}: the answer holds more than {limit} brackets, commas and quotes, and no result "
            "may (FLOWENGINE_MAX_RESULT_BYTES): ask for less",
        )
    try:
        return _output(msgspec.json.decode(body, type=_Completion), payload["model"])
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise HandlerError(
            INVALID_RESPONSE.code, f"{request.label}: the answer is no chat completion: {error}"
        ) from error


def _endpoint(settings: LlmSettings) -> str:
    if not settings.base_url:
        raise HandlerError(
            LLM_NOT_CONFIGURED.code,
            "LLM_BASE_URL is not set on the worker; set it to an OpenAI-compatible API, "
            "for example https://api.openai.com/v1",
        )
    base = settings.base_url.rstrip("/")
    return base if base.endswith("/chat/completions") else f"{base}/chat/completions"


def _headers(settings: LlmSettings) -> dict[str, str | int | float | bool]:
    return {"Authorization": f"Bearer {settings.api_key}"} if settings.api_key else {}


def _payload(config: LlmConfig, settings: LlmSettings) -> dict[str, Any]:
    model = config.model or settings.model
    if not model:
        raise HandlerError(
            LLM_NOT_CONFIGURED.code, "no model: set `model` in the node's config, or LLM_MODEL on the worker"
        )
    system = [] if config.system is None else [ChatMessage("system", config.system)]
    conversation = config.messages or [ChatMessage("user", config.prompt or "")]
    optional = {
        "temperature": config.temperature,
        "max_tokens": config.max_tokens,
        "response_format": _format(config.response_format),
    }
    messages = [msgspec.to_builtins(message) for message in (*system, *conversation)]
    chosen = {name: value for name, value in optional.items() if value is not None}
    return {"model": model, "messages": messages, **chosen}


def _format(given: str | dict[str, Any] | None) -> dict[str, Any] | None:
    return {"type": given} if isinstance(given, str) else given


def _output(completion: _Completion, asked_model: str) -> LlmOutput:
    choice = completion.choices[0]
    content = choice.message.content
    if isinstance(content, list):
        content = "".join(part["text"] for part in content if isinstance(part.get("text"), str))
    if content is None:
        raise HandlerError(
            LLM_NO_CONTENT.code,
            f"the model gave no text: {choice.message.refusal or f'finish_reason {choice.finish_reason}'}",
        )
    return LlmOutput(
        content=content,
        model=completion.model or asked_model,
        usage=completion.usage or {},
        finish_reason=choice.finish_reason,
    )
