"""A problem in a workflow document, and how its message may show what people wrote.

Knows nothing of documents. A message is printed, logged and shown in browsers, so what it quotes is short
and has no character that acts there.
"""

from __future__ import annotations

from typing import Final

import msgspec

from flowengine.plaintext import plain_text

MAX_QUOTED_CHARS: Final = 60


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is wrong, where, and what to do.

    `pointer` is an RFC 6901 JSON pointer into the document ("" is the whole document). `line` and
    `column` count from 1; they are None where that is not known, as in a document that did not come as text.
    """

    code: str
    pointer: str
    message: str
    line: int | None = None
    column: int | None = None


def quoted(text: str) -> str:
    """The text in quotes, cut to MAX_QUOTED_CHARS, control characters escaped."""
    return repr(_cut(text, MAX_QUOTED_CHARS))


def escaped(text: str, max_chars: int = MAX_QUOTED_CHARS) -> str:
    """The text without quotes, cut, in one line whatever characters are in it."""
    return plain_text(_cut(text, max_chars))


def did_you_mean(name: str | None) -> str:
    """The end of a message that names the nearest known name, if there is one.

    The name stands there whole, so that it can be copied: the caller proposes only short and plain ones.
    """
    return "" if name is None else f"; did you mean '{name}'?"


def _cut(text: str, max_chars: int) -> str:
    return text if len(text) <= max_chars else text[:max_chars] + "..."
