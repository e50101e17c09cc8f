"""The body of an answer as a value that a result can hold: JSON, else text, else base64. Pure.

Nothing is lost in silence. What JSON or a charset cannot carry is replaced, and a warning says so; bytes that
are no text become base64. What a body would take is counted before it is parsed.
"""

from __future__ import annotations

import base64
import json
import math
import re
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from flowengine.handlers.http.answer import Answer, least_size, refuse_large, text_of
from flowengine.handlers.http.reading.charsets import byte_order, looks_binary, names_charset, utf_8_of_json
from flowengine.jsonvalue import MAX_DEPTH, JsonValue, NotJsonError, decode_bounded, depth

_STARTS_LIKE_JSON: Final = re.compile(rb"\s*[\[{]")
_START_BYTES: Final = 256
_TEXT_TYPE: Final = re.compile(
    r"text/|message/(http|rfc822)|[\w.+-]+/([\w.+-]+\+)?(xml|json|yaml)\Z|(audio|video)/(x-)?mpegurl\Z|"
    r"application/((x-)?(javascript|ecmascript|www-form-urlencoded|yaml|toml|sh|ndjson|jsonlines|tex)\Z"
    r"|xhtml|xml-dtd|graphql|sql|json-seq|jwt|jose|pgp-signature|pem-certificate-chain)"
)
# These are bytes even where the bytes happen to be text. All other types are text if their bytes are.
_BYTES_TYPE: Final = re.compile(
    r"(image|audio|video|font)/|application/(pdf|wasm|cbor|grpc|zstd|vnd\.google\.protobuf"
    r"|(x-)?(zip|gzip|tar|bzip2?|xz|7z-compressed|msgpack|protobuf))\b"
)
_BASE64: Final = "base64"
_MAX_INTEGER_DIGITS: Final = 4000
# The lenient parser works on text, which takes up to four bytes a character.
_LENIENT_LIMITS: Final = 2
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_NO_CHARACTER: Final = "\ufffd"
# Text in a charset of Windows or UTF-16 may be four times as long as it is in UTF-8.
_MOST_SHRINKING: Final = 4


class Data(msgspec.Struct, frozen=True, kw_only=True):
    """A body as a value.

    `is_json`: it was parsed. `encoding` is `base64` for bytes that are no text, and `content_type` says then
    what they are. `warnings` are sentences about what was replaced or guessed. `not_json` says why it is no
    JSON.
    """

    value: JsonValue
    is_json: bool = False
    encoding: str | None = None
    content_type: str | None = None
    warnings: tuple[str, ...] = ()
    not_json: str = ""


def read_data(answer: Answer, max_bytes: int, *, any_json: bool = False) -> Data:
    """The body as JSON if it is JSON, else as text, else as base64.

    If Content-Type says JSON, or with `any_json`, every JSON value counts, and an empty body is null.
    Otherwise only an object or a list does, so that the text "42" stays text. Raises AnswerTooLargeError,
    before anything is parsed, for a body that takes more than `max_bytes` as a result.
    """
    media_type = answer.content_type.partition(";")[0].strip().lower()
    wants_json = answer.claims_json or any_json
    reason = "it is not called JSON, and is no object or list"
    if wants_json or _starts_like_json(answer, media_type):
        body, lost = utf_8_of_json(answer.body, answer.content_type)
        if wants_json and (not body or body.isspace()):
            return Data(value=None, is_json=not (any_json and answer.has_body), not_json="it is empty")
        refuse_large(least_size(body), max_bytes)
        try:
            read = _parsed(body, max_bytes)
            return read if lost is None else replace(read, warnings=(lost, *read.warnings))
        except NotJsonError as error:
            reason = str(error)
    return _as_text(answer, media_type, max_bytes, reason)


def _starts_like_json(answer: Answer, media_type: str) -> bool:
    if _BYTES_TYPE.match(media_type):
        return False
    start, _ = utf_8_of_json(answer.body[:_START_BYTES], answer.content_type)
    return _STARTS_LIKE_JSON.match(start) is not None


def _as_text(answer: Answer, media_type: str, max_bytes: int, reason: str) -> Data:
    refuse_large(len(answer.body) // _MOST_SHRINKING, max_bytes)
    if not _may_be_text(answer, media_type):
        return _as_base64(answer, media_type, max_bytes, reason)
    read = text_of(answer)
    if (read.is_lossy or read.warning is not None) and looks_binary(answer.body):
        return _as_base64(answer, media_type, max_bytes, reason)
    refuse_large(len(read.text), max_bytes)
    warnings = () if read.warning is None else (read.warning,)
    return Data(value=read.text, warnings=warnings, not_json=reason)


def _may_be_text(answer: Answer, media_type: str) -> bool:
    """Whether the body is text by its type or, where that says nothing, by its bytes."""
    if _TEXT_TYPE.match(media_type):
        return True
    if _BYTES_TYPE.match(media_type):
        return False
    if names_charset(answer.content_type) or byte_order(answer.body) is not None or not media_type:
        return True
    return not looks_binary(answer.body) and not text_of(answer).warning


def _as_base64(answer: Answer, media_type: str, max_bytes: int, reason: str) -> Data:
    refuse_large(-(-len(answer.body) // 3) * 4, max_bytes)
    return Data(
        value=base64.b64encode(answer.body).decode(),
        encoding=_BASE64,
        content_type=media_type or "application/octet-stream",
        not_json=reason,
    )


def _parsed(body: bytes, max_bytes: int) -> Data:
    """Raises NotJsonError."""
    try:
        return Data(value=decode_bounded(body), is_json=True)
    except NotJsonError as error:
        if len(body) > _LENIENT_LIMITS * max_bytes or isinstance(error.__cause__, RecursionError):
            raise
        value, warnings = _Lenient(error).parsed(body)
        return Data(value=value, is_json=True, warnings=warnings)


class _Lenient:
    """Parses what some services call JSON: with NaN, halves of surrogate pairs, bytes that are no UTF-8."""

    def __init__(self, strict_error: NotJsonError) -> None:
        self._strict_error = strict_error
        self._numbers = 0
        self._surrogates = 0

    def parsed(self, body: bytes) -> tuple[JsonValue, tuple[str, ...]]:
        """The value, and what was replaced in it. Raises NotJsonError."""
        text = body.decode(errors="replace")
        try:
            value = json.loads(
                text, parse_constant=self._constant, parse_float=self._number, parse_int=self._integer
            )
        except (ValueError, RecursionError) as error:
            raise self._strict_error from error
        if depth(value) > MAX_DEPTH:
            raise NotJsonError(f"nested deeper than {MAX_DEPTH} levels") from self._strict_error
        value = self._without_surrogates(value)
        return value, tuple(self._warnings(body))

    def _warnings(self, body: bytes) -> list[str]:
        found = []
        if self._numbers:
            found.append(
                f"numbers that JSON cannot carry (NaN, infinite, too long) became null: {self._numbers}"
            )
        if self._surrogates:
            found.append(f"halves of surrogate pairs became U+FFFD: {self._surrogates}")
        try:
            body.decode()
        except UnicodeDecodeError:
            found.append("what is not valid utf-8 became U+FFFD")
        return found

    def _constant(self, _: str) -> float | None:
        self._numbers += 1
        return None

    def _number(self, text: str) -> float | None:
        number = float(text)
        if math.isfinite(number):
            return number
        return self._constant(text)

    def _integer(self, text: str) -> float | None:
        return int(text) if len(text) <= _MAX_INTEGER_DIGITS else self._constant(text)

    def _without_surrogates(self, value: Any) -> Any:
        if isinstance(value, str):
            clean, count = _SURROGATE.subn(_NO_CHARACTER, value)
            self._surrogates += count
            return clean
        if isinstance(value, list):
            return [self._without_surrogates(item) for item in value]
        if isinstance(value, dict):
            return {
                self._without_surrogates(key): self._without_surrogates(item) for key, item in value.items()
            }
        return value
