"""Gathers a model's answer: from one completion, or from the chunks of a stream. Pure.

Both name the same things: the first choice's text, refusal, tool calls, reasoning and finish reason, the
model and the usage. What a service writes otherwise than the API says (a number for a reason, text in parts)
is taken as it is meant.
"""

from __future__ import annotations

from typing import Final

from flowengine.handlers.llm.answers.provider_error import is_error, refusal_in
from flowengine.handlers.llm.answers.tolerant_json import as_json, whole_text
from flowengine.handlers.llm.failure_table import Refusal
from flowengine.jsonvalue import JsonValue, encode

_REASONING: Final = ("reasoning_content", "reasoning", "thinking", "reasoning_details")
_TOOLS: Final = ("tool_calls", "function_call")
_TEXT_PARTS: Final = (None, "text", "output_text")


class ModelAnswer:
    """What has come of an answer so far."""

    def __init__(self) -> None:
        self.model: str | None = None
        self.usage: dict[str, JsonValue] | None = None
        self.finish_reason: str | None = None
        self.error: Refusal | None = None
        self.has_choice = False
        self.asks_for_tools = False
        self.size = 0
        self._reasons = False
        self._text: list[str] = []
        self._refusal: list[str] = []

    @property
    def content(self) -> str:
        """The text."""
        return whole_text("".join(self._text))

    @property
    def refusal(self) -> str:
        """What the model says when it refuses."""
        return whole_text("".join(self._refusal))

    @property
    def has_reasoned(self) -> bool:
        """Whether tokens went into reasoning."""
        if self.only_thinks:
            return True
        details = (self.usage or {}).get("completion_tokens_details")
        counted = details.get("reasoning_tokens") if isinstance(details, dict) else None
        return self._reasons or (isinstance(counted, int | float) and counted > 0)

    @property
    def only_thinks(self) -> bool:
        """Whether the text is nothing but the model's thinking, which some services leave in it."""
        _, opened, thought = self.content.partition("<think>")
        after = thought.rpartition("</think>")[2] if "</think>" in thought else ""
        return bool(opened) and self.content.lstrip().startswith("<think>") and not after.strip()

    def add(self, document: JsonValue) -> None:
        """Take in a whole completion, or the next chunk of a stream."""
        if is_error(document):
            self.error = refusal_in(document, None)
        if not isinstance(document, dict):
            return
        if isinstance(model := document.get("model"), str) and model:
            self.model = whole_text(model)
        if isinstance(usage := document.get("usage"), dict):
            cleaned = as_json(usage)
            self.usage = cleaned if isinstance(cleaned, dict) else None
        choices = document.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict) and choice.get("index") in (None, 0, "0"):
                self._add_choice(choice)
                break

    def _add_choice(self, choice: dict[str, JsonValue]) -> None:
        self.has_choice = True
        if choice.get("error"):
            self.error = refusal_in({"error": choice["error"]}, None)
        if (reason := choice.get("finish_reason")) is not None:
            self.finish_reason = reason if isinstance(reason, str) else encode(as_json(reason)).decode()
        delta, message = choice.get("delta"), choice.get("message")
        if isinstance(delta, dict):
            self._add_message(delta)
        elif isinstance(message, dict) and not self._text:
            self._add_message(message)
        elif "text" in choice:
            self._add_text(choice["text"])

    def _add_message(self, message: dict[str, JsonValue]) -> None:
        self._add_text(message.get("content"))
        if isinstance(refusal := message.get("refusal"), str):
            self._refusal.append(refusal)
            self.size += len(refusal)
        self.asks_for_tools |= any(message.get(key) for key in _TOOLS)
        self._reasons |= any(message.get(key) for key in _REASONING)

    def _add_text(self, content: JsonValue) -> None:
        if content is None:
            return
        if isinstance(content, list):
            for part in content:
                self._add_part(part)
            return
        text = content if isinstance(content, str) else encode(as_json(content)).decode()
        self._text.append(text)
        self.size += len(text)

    def _add_part(self, part: JsonValue) -> None:
        if isinstance(part, str):
            self._add_text(part)
        elif isinstance(part, dict):
            if part.get("type") in _TEXT_PARTS and isinstance(part.get("text"), str):
                self._add_text(part["text"])
            elif isinstance(part.get("refusal"), str):
                self._refusal.append(str(part["refusal"]))
            self._reasons |= part.get("type") in ("thinking", "reasoning")
