"""Which definitions a key is for: patterns over their names. Pure.

A key without patterns is for all that its role allows. One with patterns sees and steers what was started
from an applied definition whose name fits: never what was posted, whatever its document is called.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Final

MAX_PATTERNS: Final = 20
MAX_CHARS: Final = 200


def covers(patterns: Sequence[str], name: str | None) -> bool:
    """Whether a key with these patterns is for what belongs to this definition; None: it belongs to none.

    `*` stands for any text, `?` for one character, `[ab]` for one of these.
    """
    return not patterns or (name is not None and any(fnmatchcase(name, pattern) for pattern in patterns))


def wrong_with_pattern(pattern: str) -> str | None:
    """Why a text can be no pattern, or None."""
    if not pattern or len(pattern) > MAX_CHARS:
        return f"it has 1 to {MAX_CHARS} characters"
    return None if pattern.isprintable() else "it is one line of printable characters"
