"""Text that is safe to show: what would move a cursor, start a line or turn the reading order is escaped.

Needs nothing, so that a supervisor, which carries no library, can use it.
"""

from __future__ import annotations

import re
from functools import cache

# C0, DEL and C1 (ECMA-48), line and paragraph separators, Unicode's Bidi_Control, what UTF-8 cannot encode.
_UNSAFE = "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"


def plain_text(text: str, *, keep_lines: bool = False) -> str:
    """The text with each such character as `\\x1b` or `\\u202e`; newlines stay where `keep_lines` says so.

    JSON stays JSON of the same value: C0 is escaped there anyway, and the others become JSON's own escapes.
    """
    if text.isprintable():
        return text
    return _unsafe(keep_lines).sub(_escaped, text)


def encodable_text(text: str) -> str:
    """The text with what UTF-8 cannot carry escaped: half of a surrogate pair becomes `\\udcff`.

    Such halves come from file names and variables that are no UTF-8 (PEP 383). JSON cannot store them.
    """
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


@cache
def _unsafe(keep_lines: bool) -> re.Pattern[str]:
    """Compiled for the first text that needs it: that takes 0.2 MB, and most processes never do."""
    return re.compile(f"(?!\n){_UNSAFE}" if keep_lines else _UNSAFE)


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x20 else f"\\u{code:04x}"
