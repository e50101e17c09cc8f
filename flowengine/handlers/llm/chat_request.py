"""The request of a chat completion: where it goes, and what it says. Pure.

It asks for a stream, so that a long answer is never silent, and for the usage at the stream's end. Services
that know neither are asked without.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import msgspec

from flowengine.execution.error_codes import LLM_NOT_CONFIGURED
from flowengine.handlers.http.outgoing_request import OutgoingRequest, prepare_request, shown_url
from flowengine.handlers.llm.chat_config import ChatMessage, LlmConfig, ResponseFormat
from flowengine.plugin.errors import HandlerError
from flowengine.settings.model import LlmSettings

_PATH: Final = "/chat/completions"
_OPTIONS: Final = (
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "reasoning_effort",
    "seed",
    "stop",
)


class ChatRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One question to a model. `payload` has neither `stream` nor `stream_options`."""

    url: str
    key: str | None
    model: str
    payload: dict[str, Any]
    streams: bool = True
    wants_usage: bool = True

    @property
    def label(self) -> str:
        """`POST https://host/path`, for messages and logs."""
        return f"POST {shown_url(self.url)}"

    def without_usage(self) -> ChatRequest:
        """The same without asking for the usage of a stream."""
        return msgspec.structs.replace(self, wants_usage=False)

    def without_stream(self) -> ChatRequest:
        """The same for an answer in one piece."""
        return msgspec.structs.replace(self, streams=False, wants_usage=False)

    def prepared(self) -> OutgoingRequest:
        """The HTTP request. Raises HandlerError `invalid_request`."""
        stream: dict[str, Any] = {"stream": True} if self.streams else {}
        if self.wants_usage:
            stream["stream_options"] = {"include_usage": True}
        headers: dict[str, str | int | float | bool] = {
            "Accept": "text/event-stream, application/json" if self.streams else "application/json",
            # A proxy that compresses a stream holds it back.
            "Accept-Encoding": "identity",
        }
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        return prepare_request(
            method="POST", url=self.url, headers=headers, params={}, body={**self.payload, **stream}
        )


def chat_request(config: LlmConfig, settings: LlmSettings) -> ChatRequest:
    """What the config asks for. Raises HandlerError `llm_not_configured`."""
    if not settings.base_url:
        raise HandlerError(
            LLM_NOT_CONFIGURED.code,
            "LLM_BASE_URL is not set on the worker; set it to an OpenAI-compatible API, "
            "for example https://api.openai.com/v1",
        )
    model = config.model or settings.model
    if not model:
        raise HandlerError(
            LLM_NOT_CONFIGURED.code, "no model: set `model` in the node's config, or LLM_MODEL on the worker"
        )
    return ChatRequest(
        url=endpoint_of(settings.base_url), key=settings.api_key, model=model, payload=_payload(config, model)
    )


def endpoint_of(base_url: str) -> str:
    """The address of the chat completions: the path is joined before the query, which Azure needs."""
    parts = urlsplit(base_url)
    path = parts.path.rstrip("/")
    if not path.endswith(_PATH):
        path += _PATH
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def _payload(config: LlmConfig, model: str) -> dict[str, Any]:
    has_system = config.system is not None and config.system.strip()
    system = [ChatMessage(role="system", content=config.system)] if has_system else []
    conversation = config.messages or [ChatMessage(role="user", content=config.prompt)]
    options = {name: value for name in _OPTIONS if (value := getattr(config, name)) is not None}
    if config.response_format is not None:
        options["response_format"] = _format(config.response_format)
    messages = [message.as_sent() for message in (*system, *conversation)]
    return {"model": model, "messages": messages, **options, **config.extra_body}


def _format(given: str | ResponseFormat) -> dict[str, Any]:
    return {"type": given} if isinstance(given, str) else given.as_sent()
