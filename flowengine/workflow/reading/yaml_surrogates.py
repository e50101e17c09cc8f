r"""`"\ud83d\ude00"` in YAML: an emoji written as JSON writes it.

JSON's escapes stand for UTF-16 units, so a character beyond U+FFFF takes two of them. Programs write such
text into YAML, of which JSON is a part, and libyaml refuses it. Here each pair is written as two private
characters before libyaml reads the text, and put back afterwards. Both take the same space, so that all
positions stay.
"""

from __future__ import annotations

import re
from typing import Final

REFUSED_BY_LIBYAML: Final = "found invalid Unicode character escape code"

_PAIR: Final = re.compile(
    r"(?<!\\)((?:\\\\)*+)(\\u([dD])([89abAB][0-9a-fA-F]{2})\\u([dD])([c-fC-F][0-9a-fA-F]{2}))"
)
"""A backslash that another one escapes begins no escape."""

_TWO_ESCAPES: Final = re.compile(r"(?:\\u[0-9a-fA-F]{4}){2}")

_SURROGATES: Final = 0xD800
_BLOCK: Final = 0x800
_STAND_INS: Final = (0xE000, 0xE800, 0xF000)
"""Blocks of private characters, each as long as that of the surrogates."""

_PRIVATE: Final = re.compile(r"[\ue000-\uf7ff]|\\(?:u|U0000)([eE][0-9a-fA-F]{3}|[fF][0-7][0-9a-fA-F]{2})")


class SurrogatePairs:
    """The pairs of one document. `text` has stand-ins in their places, from the block at `start` on."""

    def __init__(self, text: str, start: int) -> None:
        self._shift = start - _SURROGATES
        half = start + _BLOCK // 2
        high, low = f"[{chr(start)}-{chr(half - 1)}]", f"[{chr(half)}-{chr(start + _BLOCK - 1)}]"
        self._hidden = re.compile(high + low)
        self._written: dict[str, str] = {}
        self.text = _PAIR.sub(self._hide, text)

    def restore(self, value: str, *, is_escaped: bool) -> str:
        """A scalar with its pairs again: as characters where YAML reads escapes, else as they were."""
        if is_escaped:
            return self._hidden.sub(self._character, value)
        return _TWO_ESCAPES.sub(lambda found: self._written.get(found[0], found[0]), value)

    def _hide(self, found: re.Match[str]) -> str:
        before, written, *parts = found.groups()
        hidden = self._stand_in(parts[0], parts[1]) + self._stand_in(parts[2], parts[3])
        self._written.setdefault(hidden, written)
        return before + hidden

    def _stand_in(self, first: str, digits: str) -> str:
        """The escape of a private character that stands for a unit, in capitals where the unit's is."""
        return f"\\u{int(first + digits, 16) + self._shift:04{'X' if first == 'D' else 'x'}}"

    def _character(self, found: re.Match[str]) -> str:
        units = [ord(unit) - self._shift for unit in found[0]]
        return chr(0x10000 + (units[0] - 0xD800 << 10) + units[1] - 0xDC00)


def surrogate_pairs(text: str) -> SurrogatePairs | None:
    """The text's pairs; None where it has none, or uses all stand-ins itself."""
    if _PAIR.search(text) is None:
        return None
    used = {int(found[1], 16) if found[1] else ord(found[0]) for found in _PRIVATE.finditer(text)}
    free = [start for start in _STAND_INS if not any(start <= code < start + _BLOCK for code in used)]
    return SurrogatePairs(text, free[0]) if free else None
