"""What a node may ask of a language model: the config of `llm_service`. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias

import msgspec

from flowengine.handlers.llm.chat_messages import ChatMessage
from flowengine.handlers.llm.response_format import ResponseFormat
from flowengine.plugin.literal_check import LiteralCheck

__all__ = ["ChatMessage", "LlmConfig", "ResponseFormat"]

OnLength: TypeAlias = Literal["fail", "keep"]

READ_BY_THE_MODEL: Final = ("prompt", "system", "messages", "response_format", "stop")
"""The fields that the service's model reads, or whose text it may repeat."""

_NOT_EXTRA: Final = {
    "model": "`model` is a field of its own",
    "messages": "`messages` is a field of its own",
    "stream": "how the answer is sent is llm_service's business",
    "stream_options": "how the answer is sent is llm_service's business",
    "tools": "llm_service offers no tools",
    "tool_choice": "llm_service offers no tools",
    "functions": "llm_service offers no tools",
    "function_call": "llm_service offers no tools",
}
_MOST_STOPS: Final = 16


def _wrong_with_prompt(prompt: str) -> str | None:
    return None if prompt.strip() else "`prompt` is empty: write the question"


def _wrong_with_extra(extra: dict[str, Any]) -> str | None:
    for name, reason in _NOT_EXTRA.items():
        if name in extra:
            return f"`extra_body` cannot have `{name}`: {reason}"
    return None


def _wrong_with_stop(stop: str | list[str]) -> str | None:
    texts = [stop] if isinstance(stop, str) else stop
    if not texts or not all(texts):
        return "`stop` is a text, or a list of texts, and none of them is empty"
    return f"`stop` has at most {_MOST_STOPS} texts" if len(texts) > _MOST_STOPS else None


class LlmConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to ask: `prompt`, or `messages` for a whole conversation."""

    SCHEMA_RULES: ClassVar[dict[str, Any]] = {
        "oneOf": [
            {"required": ["prompt"], "properties": {"prompt": {"type": "string"}}},
            {"required": ["messages"], "properties": {"messages": {"type": ["array", "string"]}}},
        ]
    }

    prompt: Annotated[
        str | None,
        msgspec.Meta(description="The question, as one user message."),
        LiteralCheck(_wrong_with_prompt),
    ] = None
    messages: Annotated[
        list[ChatMessage] | None, msgspec.Meta(description="A conversation, instead of `prompt`.")
    ] = None
    model: Annotated[str | None, msgspec.Meta(description="Default: the worker's LLM_MODEL.")] = None
    system: Annotated[str | None, msgspec.Meta(description="Instructions, put before everything else.")] = (
        None
    )
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2, description="0 to 2.")] | None = None
    top_p: Annotated[float, msgspec.Meta(ge=0, le=1, description="0 to 1.")] | None = None
    max_tokens: Annotated[int, msgspec.Meta(ge=1, description="The longest answer.")] | None = None
    max_completion_tokens: (
        Annotated[int, msgspec.Meta(ge=1, description="The longest answer, reasoning included.")] | None
    ) = None
    reasoning_effort: Annotated[
        Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None,
        msgspec.Meta(description="How much the model thinks before it answers."),
    ] = None
    seed: Annotated[int | None, msgspec.Meta(description="The same seed, nearly the same answer.")] = None
    stop: Annotated[
        str | list[str] | None,
        msgspec.Meta(description="Where the answer ends: a text, or several."),
        LiteralCheck(_wrong_with_stop),
    ] = None
    response_format: Annotated[
        Literal["text", "json_object"] | ResponseFormat | None,
        msgspec.Meta(description="`json_object`, or the API's own object. `content` stays text."),
    ] = None
    on_length: Annotated[
        OnLength, msgspec.Meta(description="What an answer that was cut means: `fail`, or `keep` it.")
    ] = "fail"
    extra_body: Annotated[
        dict[str, Any],
        msgspec.Meta(description="More fields of the request, as the service takes them."),
    ] = {}

    def __post_init__(self) -> None:
        wrong = (
            next((why for _, why in self.wrong_with(msgspec.structs.asdict(self))), None)
            or (self.messages == [] and "`messages` is empty")
            or (self.prompt is not None and _wrong_with_prompt(self.prompt))
            or (self.stop is not None and _wrong_with_stop(self.stop))
        )
        if wrong:
            raise ValueError(wrong)

    @classmethod
    def wrong_with(cls, config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Fields that do not go together, as far as it is known before templates are rendered."""
        given = {name for name, value in config.items() if value is not None}
        if ("prompt" in given) == ("messages" in given):
            yield "", "give either `prompt` or `messages`"
        if {"max_tokens", "max_completion_tokens"} <= given:
            yield "", "give either `max_tokens` or `max_completion_tokens`"
        extra = config.get("extra_body")
        if isinstance(extra, dict):
            twice = next((name for name in extra if name in given), None)
            wrong = _wrong_with_extra(extra) or (
                f"`{twice}` is given twice: as a field and in `extra_body`" if twice else None
            )
            if wrong:
                yield "extra_body", wrong
