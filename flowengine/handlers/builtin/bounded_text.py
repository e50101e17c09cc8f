"""Text made of a node's values, never larger than could be stored. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from flowengine.execution.error_codes import RESULT_TOO_LARGE, WRONG_INPUT_TYPE
from flowengine.handlers.builtin.numbers import describe
from flowengine.jsonvalue import encode
from flowengine.plugin.errors import HandlerError

# A separator or replacement can multiply its input: sizes are worked out before the text is made.
MAX_TEXT_CHARS: Final = 16 * 1024 * 1024


def refuse_long(length: int, operation: str) -> None:
    """Raises HandlerError `result_too_large` when a text of `length` characters is too long to make."""
    if length > MAX_TEXT_CHARS:
        raise HandlerError(
            RESULT_TOO_LARGE.code,
            f"{operation} would make a text of {length} characters; the limit is {MAX_TEXT_CHARS}",
        )


def join_texts(items: Sequence[Any], separator: str, operation: str) -> str:
    """Texts, numbers and booleans as one text.

    Raises HandlerError: `wrong_input_type` names the item that is none of these; `result_too_large`.
    """
    parts = []
    for position, item in enumerate(items):
        if isinstance(item, list | dict) or item is None:
            raise HandlerError(
                WRONG_INPUT_TYPE.code, f"{operation} needs texts; item {position} is {describe(item)}"
            )
        parts.append(item if isinstance(item, str) else encode(item).decode())
    refuse_long(sum(map(len, parts)) + len(separator) * len(parts), operation)
    return separator.join(parts)
