"""What a plain YAML scalar means: the core schema of YAML 1.2, which is JSON's, and no more.

`yes`, `no`, `on` and `off` are text, and so are dates and times of day (YAML 1.1 reads them otherwise).
`012` is refused: YAML 1.1 reads it as ten, YAML 1.2 as twelve.
"""

from __future__ import annotations

import math
import re
from typing import Final

from flowengine.template.json_values import MAX_INTEGER, MIN_INTEGER

_WORDS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER: Final = re.compile(r"[-+]?(?:[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)", re.ASCII)
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_AMBIGUOUS: Final = re.compile(r"[-+]?0[0-9]+", re.ASCII)
_NOT_FINITE: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_MAX_DIGITS: Final = 24


def resolve(text: str) -> bool | int | float | str | None:
    """The value of a plain scalar. Raises ValueError, whose text says what is wrong with it."""
    if text in _WORDS:
        return _WORDS[text]
    first = text[0]
    if not (first.isdigit() or first in "+-."):
        return text
    if _AMBIGUOUS.fullmatch(text):
        raise ValueError("a number with a leading zero is ambiguous: quote it if it is text")
    if _INTEGER.fullmatch(text):
        return _integer(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if not math.isfinite(number):
            raise ValueError("the number is too large")
        return number
    if _NOT_FINITE.fullmatch(text):
        raise ValueError("infinity and NaN have no place in JSON: quote it if it is text")
    return text


def _integer(text: str) -> int:
    if len(text) <= _MAX_DIGITS:
        number = int(text, 0) if "0x" in text or "0o" in text else int(text)
        if MIN_INTEGER <= number <= MAX_INTEGER:
            return number
    raise ValueError("integers take at most 64 bits")
