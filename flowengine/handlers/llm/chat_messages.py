"""The messages of a conversation, as the chat completions API takes them, checked before they are sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal

import msgspec

from flowengine.template import is_template

_PARTS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "text": ("text", ()),
    "refusal": ("refusal", ()),
    "image_url": ("image_url", ("url",)),
    "video_url": ("video_url", ("url",)),
    "audio_url": ("audio_url", ("url",)),
    "input_audio": ("input_audio", ("data", "format")),
    "file": ("file", ()),
}
"""What a part of each type must hold: a text, or an object with these texts."""

_TEXT_ONLY: Final = frozenset({"system", "developer", "tool"})
_ASSISTANTS: Final = ("tool_calls", "refusal", "audio")


class ChatMessage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One message of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Annotated[
        str | list[dict[str, Any]] | None,
        msgspec.Meta(description="Text, or the API's list of parts. Null beside an assistant's tool calls."),
    ] = None
    name: Annotated[str | None, msgspec.Meta(description="Who of several speaks.")] = None
    tool_call_id: Annotated[
        str | None, msgspec.Meta(description="The tool call that a tool's message answers.")
    ] = None
    tool_calls: Annotated[
        list[dict[str, Any]] | None, msgspec.Meta(description="What an assistant's message asked for.")
    ] = None
    refusal: str | None = None
    reasoning_content: str | None = None
    audio: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        for _, wrong in self.wrong_with(msgspec.structs.asdict(self)):
            raise ValueError(wrong)

    @classmethod
    def wrong_with(cls, config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """What no service would take, as far as it is known before templates are rendered."""
        wrong = _wrong_with_fields(config) or _wrong_with_content(config)
        if wrong is not None:
            yield "", wrong

    def as_sent(self) -> dict[str, Any]:
        """The message as JSON; `content` is there even if it is null."""
        sent: dict[str, Any] = msgspec.to_builtins(self)
        return {"role": self.role, "content": self.content, **sent}


def _wrong_with_fields(given: Mapping[str, Any]) -> str | None:
    role = given["role"]
    if _is_open(role):
        return None
    if role == "tool" and not given.get("tool_call_id"):
        return "a message of the role `tool` needs `tool_call_id`"
    if role != "tool" and given.get("tool_call_id") is not None:
        return "only a message of the role `tool` has `tool_call_id`"
    if role != "assistant" and any(given.get(name) for name in _ASSISTANTS):
        return "only a message of the role `assistant` has `tool_calls`, `refusal` or `audio`"
    calls = given.get("tool_calls")
    return next(filter(None, map(_wrong_with_call, calls)), None) if isinstance(calls, list) else None


def _wrong_with_call(call: Any) -> str | None:
    function = call.get("function") if isinstance(call, dict) else None
    if _is_open(call) or _is_open(function):
        return None
    if not isinstance(function, dict) or not _is_text(call.get("id")) or not _is_text(function.get("name")):
        return "each of `tool_calls` needs `id` and `function` with `name` and `arguments`"
    if not isinstance(function.get("arguments", ""), str):
        return "`arguments` of a tool call is a text that holds JSON, not an object"
    return None


def _wrong_with_content(given: Mapping[str, Any]) -> str | None:
    content, role = given.get("content"), given["role"]
    if content is None or content in ("", []):
        may_lack_text = role == "tool" and content is not None
        if may_lack_text or any(given.get(name) for name in _ASSISTANTS) or _is_open(role):
            return None
        return f"a message of the role `{role}` needs `content`"
    if isinstance(content, str):
        return None
    return next((wrong for part in content if (wrong := _wrong_with_part(part, role))), None)


def _wrong_with_part(part: Any, role: str) -> str | None:
    kind = part.get("type") if isinstance(part, dict) else None
    if _is_open(part) or _is_open(kind):
        return None
    if not isinstance(kind, str) or kind not in _PARTS:
        return f"the type of a part of `content` is one of {', '.join(_PARTS)}"
    if role in _TEXT_ONLY and kind != "text":
        return f"a message of the role `{role}` takes parts of the type text only"
    field, inside = _PARTS[kind]
    held = part.get(field)
    if kind in ("text", "refusal"):
        return None if isinstance(held, str) else f"a part of the type {kind} needs `{field}`, a text"
    if _is_open(held):
        return None
    if not isinstance(held, dict) or not held:
        return f"a part of the type {kind} needs `{field}`, an object"
    missing = [name for name in inside if not _is_text(held.get(name))]
    return f"`{field}` needs `{missing[0]}`, a text" if missing else None


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _is_open(value: object) -> bool:
    """Whether it is a template, which may give anything."""
    return isinstance(value, str) and is_template(value)
