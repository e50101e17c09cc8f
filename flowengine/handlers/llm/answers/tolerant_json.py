"""JSON as language-model services write it: `NaN`, half an emoji, bytes that are no UTF-8. Pure.

An answer has been paid for, so that whatever can be read of it is read. What JSON cannot carry becomes null
(a number) or U+FFFD (a character).
"""

from __future__ import annotations

import codecs
import json
import math
from typing import Final

from flowengine.jsonvalue import MAX_DEPTH, JsonValue, NotJsonError, decode_bounded, depth

MOST_DIGITS: Final = 4000


def read_tolerant(data: bytes) -> JsonValue:
    """The value of the bytes. Halves of surrogate pairs are kept in texts: `whole_text` joins them.

    Raises NotJsonError for what is no JSON even so, or is nested deeper than 200 levels.
    """
    bare = data.removeprefix(codecs.BOM_UTF8)
    try:
        return decode_bounded(bare)
    except NotJsonError:
        try:
            value: JsonValue = json.loads(
                bare.decode(errors="replace"), parse_constant=_null, parse_int=_whole, strict=False
            )
        except (ValueError, RecursionError) as error:
            raise NotJsonError(str(error)) from error
    if depth(value) > MAX_DEPTH:
        raise NotJsonError(f"nested deeper than {MAX_DEPTH} levels")
    return value


def whole_text(text: str) -> str:
    """The text with each pair of halves as one character, and U+FFFD for a half without its other."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def as_json(value: JsonValue) -> JsonValue:
    """The value with null for each number that JSON cannot carry, and whole texts. Recurses."""
    if isinstance(value, str):
        return whole_text(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [as_json(item) for item in value]
    if isinstance(value, dict):
        return {whole_text(key): as_json(item) for key, item in value.items()}
    return value


def _null(_: str) -> None:
    return None


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= MOST_DIGITS else math.inf
