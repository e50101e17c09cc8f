"""Reading a document in JSON (RFC 8259), hostile or not.

One scan over the tokens bounds depth and number of values, and finds repeated keys and numbers that do not
fit, before a decoder makes anything. The scan takes its input for JSON; the decoder finds where it is not.
"""

from __future__ import annotations

import math
import re
from typing import Final

import msgspec

from flowengine.jsonvalue import JsonValue
from flowengine.template.json_values import MAX_INTEGER, MIN_INTEGER
from flowengine.workflow.problems import MAX_QUOTED_CHARS, escaped
from flowengine.workflow.reading.malformed import (
    HALF_OF_PAIR,
    MAX_CONTAINERS,
    MAX_DEPTH,
    MalformedError,
    malformed_at,
    plain_utf8,
)
from flowengine.workflow.reading.positions import Positions, characters, places_of

MAX_JSON_VALUES: Final = 300_000
MAX_TEXT_MIB: Final = 26
"""Keeps a document under 50 MiB: its texts beyond ASCII are held as UTF-8 too, its configs as JSON too."""

# Every repetition is possessive, and the pattern matches at every place (at the end: nothing), so that no
# input makes it backtrack. A member of an object is one match, its key and the beginning of its value: a
# document has some hundred thousand members.
_TOKEN: Final = re.compile(
    rb"""[\s,:]*+(?:
        ("(?:[^"\\]++|\\.)*+"?) (?: (\s*+:) \s*+ (?:
            ("(?:[^"\\]++|\\.)*+"?)
          | ([{\[])
          | ([^\s{}\[\],:"]++)
        )?+ )?+
      | ([{\[])
      | ([}\]])
      | ([^\s{}\[\],:"]++)
    )?""",
    re.VERBOSE | re.DOTALL,
)
# The groups of _TOKEN. A text that is a key has the colon, and one of the groups of its value, after it.
_TEXT, _COLON, _VALUE_TEXT, _VALUE_OPEN, _VALUE_BARE, _OPEN, _CLOSE, _BARE = range(1, 9)
_OPENS: Final = (_OPEN, _VALUE_OPEN)
_BARES: Final = (_BARE, _VALUE_BARE)
_WORDS: Final = frozenset((b"true", b"false", b"null"))
_NOT_FINITE: Final = frozenset((b"NaN", b"Infinity", b"-Infinity"))
_SHORT_INTEGER: Final = 18
_SURROGATE: Final = re.compile(rb"\\u[dD][89abAB]")
_LEADS_OF_FOUR: Final = bytes(range(0xF0, 0xF5))
_LONE_HALF: Final = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])")
_BYTE: Final = re.compile(r" \(byte (\d+)\)$")


def parse_json(body: bytes) -> tuple[JsonValue, Positions]:
    """The value of a JSON document, and where its parts are. The caller bounds the size of the body.

    Raises MalformedError for what is no JSON or no UTF-8, for too much depth, too many values, a repeated
    key, and a number that does not fit.
    """
    source = plain_utf8(body)
    if not source.strip():
        raise MalformedError("empty_document", "the document is empty", line=1, column=1)
    positions, fault = _scan(source)
    try:
        value: JsonValue = msgspec.json.decode(source)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise _not_json(source, error, fault) from error
    if fault is not None:
        raise fault
    return value, positions


def _not_json(source: bytes, error: Exception, fault: MalformedError | None) -> MalformedError:
    if fault is not None and fault.reason == "number_out_of_range":
        return fault
    text = str(error)
    found = _BYTE.search(text)
    offset = int(found[1]) if found else len(source)
    reason = _BYTE.sub("", text).removeprefix("JSON is malformed: ")
    # What the decoder says of a half depends on what follows: near the end, that the input is cut.
    half = _LONE_HALF.search(source) if "truncated" in reason else None
    if half is not None or "surrogate" in reason:
        offset = offset if half is None else half.start()
        reason = HALF_OF_PAIR
    return malformed_at("malformed_json", f"this is not JSON: {reason}", source, offset)


def _scan(source: bytes) -> tuple[Positions, MalformedError | None]:
    """Where the values are, and the first fault of the document, which counts only if it is JSON at all.

    Raises MalformedError for what must not reach a decoder.
    """
    positions = Positions(lambda offsets: places_of(source, offsets))
    marks = positions.marks
    fault: MalformedError | None = None
    levels: list[set[bytes] | None] = []
    containers = 0
    text_bytes_left = MAX_TEXT_MIB << 20
    is_plain = source.isascii() and b"\\u" not in source
    for match in _TOKEN.finditer(source):
        kind = match.lastindex
        if kind is None:
            continue
        if not is_plain and kind <= _VALUE_BARE:
            text_bytes_left -= _bytes_as_texts(match)
            _refuse_much_text(text_bytes_left, source, match.start(_TEXT))
        if _COLON <= kind <= _VALUE_BARE:
            key, keys = match[_TEXT], levels[-1] if levels else None
            if keys is not None and (key in keys or b"\\" in key):
                fault = fault or _repeated(keys, key, source, match.start(_TEXT))
            elif keys is not None:
                keys.add(key)
            if kind == _COLON:
                continue
        elif kind == _CLOSE:
            if not levels:
                break  # this is no JSON, and the decoder will say so
            levels.pop()
            continue
        start = match.start(kind)
        marks.append(start)
        if kind in _BARES:
            token = match[kind]
            if not (token.isdigit() and len(token) <= _SHORT_INTEGER):
                fault = fault or _unfit_number(token, source, start)
        elif kind in _OPENS:
            containers += 1
            levels.append(set() if match[kind] == b"{" else None)
            _refuse_excess(len(levels), containers, source, start)
        if len(marks) > MAX_JSON_VALUES:
            message = f"the document holds more than {MAX_JSON_VALUES} values"
            raise malformed_at("too_many_values", message, source, start)
    return positions, fault


def _refuse_excess(depth: int, containers: int, source: bytes, offset: int) -> None:
    if depth > MAX_DEPTH:
        raise malformed_at("too_deep", f"the document is nested more than {MAX_DEPTH} deep", source, offset)
    if containers > MAX_CONTAINERS:
        raise malformed_at(
            "too_many_values",
            f"the document holds more than {MAX_CONTAINERS} lists and objects",
            source,
            offset,
        )


def _refuse_much_text(text_bytes_left: int, source: bytes, offset: int) -> None:
    if text_bytes_left < 0:
        message = (
            f"the texts of the document take more than {MAX_TEXT_MIB} MiB of memory: 2 bytes a character "
            "beyond ASCII, 4 in a text that holds any beyond U+FFFF (an emoji): split the document"
        )
        raise malformed_at("too_much_text", message, source, offset)


def _bytes_as_texts(match: re.Match[bytes]) -> int:
    """How much memory Python needs at most for a text and, if the text is a key, for its value."""
    return sum(_bytes_as_text(token) for token in match.group(_TEXT, _VALUE_TEXT) if token)


def _bytes_as_text(token: bytes) -> int:
    """Python gives each character of a text as many bytes as the widest needs."""
    escapes = token.replace(b"\\\\", b"").count(b"\\u") if b"\\u" in token else 0
    if not escapes and token.isascii():
        return len(token)
    has_wide = len(token.translate(None, _LEADS_OF_FOUR)) < len(token) or _SURROGATE.search(token)
    return (characters(token, 0, len(token)) - 5 * escapes) * (4 if has_wide else 2)


def _repeated(keys: set[bytes], token: bytes, source: bytes, offset: int) -> MalformedError | None:
    if b"\\" in token:
        try:
            token = msgspec.json.encode(msgspec.json.decode(token))
        except (msgspec.DecodeError, ValueError):
            return None
    if token not in keys:
        keys.add(token)
        return None
    name = escaped(token[:MAX_QUOTED_CHARS].decode("utf-8", "replace"))
    return malformed_at("duplicate_key", f"the key {name} appears twice in one object", source, offset)


def _unfit_number(token: bytes, source: bytes, offset: int) -> MalformedError | None:
    if token in _WORDS:
        return None
    if token in _NOT_FINITE:
        return malformed_at("number_out_of_range", f"{token.decode()} is not a JSON number", source, offset)
    try:
        fits = _fits(token)
    except ValueError:
        return None  # this is no number, and the decoder will say what it is
    return (
        None
        if fits
        else malformed_at(
            "number_out_of_range", "integers take at most 64 bits and numbers must be finite", source, offset
        )
    )


def _fits(token: bytes) -> bool:
    if token.lstrip(b"-").isdigit():
        return len(token) <= _SHORT_INTEGER + 3 and MIN_INTEGER <= int(token) <= MAX_INTEGER
    return math.isfinite(float(token))
