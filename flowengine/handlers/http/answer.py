"""The answer of an HTTP service, and its body as a value or a text. Pure.

JSON takes up to 40 times its size once it is parsed. So what a body would take is counted first, and a body
that cannot become a result is refused before it is parsed.
"""

from __future__ import annotations

import codecs
import re
from http import HTTPStatus
from typing import Final

import msgspec

from flowengine.jsonvalue import JsonValue, NotJsonError, decode_bounded

_JSON_TYPE: Final = re.compile(r"\s*(application|text)/([\w.+-]+\+)?json\s*(;|\Z)", re.IGNORECASE)
_CHARSET: Final = re.compile(r";\s*charset\s*=\s*\"?([\w.:-]{1,40})", re.IGNORECASE)
_UTF_8: Final = "utf-8"
# Decoding takes quadratic time (idna, punycode), or they are no charsets.
_REFUSED_CODECS: Final = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined"})
_STARTS_LIKE_JSON: Final = re.compile(rb"\s*[\[{]")
_MARKS: Final = tuple(b',:[]{}"')
_MAY_VANISH: Final = b" \t\r\n0123456789+-.eE"
_ESCAPE_SAVES: Final = len(rb"\u0041") - len(b"A")
_EXCERPT_CHARS: Final = 300
_EXCERPT_BYTES: Final = 16 * 1024
_NO_CHARACTER: Final = "\ufffd"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A complete response. Header names are in lower case; the values of a repeated header are joined."""

    status_code: int
    headers: dict[str, str]
    body: bytes

    @property
    def claims_json(self) -> bool:
        """Whether Content-Type says JSON."""
        return _JSON_TYPE.match(self.headers.get("content-type", "")) is not None

    @property
    def status_line(self) -> str:
        """`404 Not Found`."""
        try:
            return f"{self.status_code} {HTTPStatus(self.status_code).phrase}"
        except ValueError:
            return str(self.status_code)


class AnswerTooLargeError(ValueError):
    """The body would be larger than a result may be; the message has both figures."""


def text_of(answer: Answer, body: bytes | None = None) -> str:
    """The body as text; bytes that its charset cannot decode become U+FFFD. Never fails.

    `body`: other bytes to decode in place of the whole body.
    """
    data = (answer.body if body is None else body).removeprefix(codecs.BOM_UTF8)
    charset = _charset(answer)
    if charset == _UTF_8:
        return data.decode(errors="replace")
    try:
        text = data.decode(charset, errors="replace")
    except (LookupError, ValueError):
        text = data.decode(errors="replace")
    return text.encode(errors="replace").decode()


def data_of(answer: Answer, max_bytes: int) -> JsonValue:
    """The body as a value: JSON if it is JSON, else text.

    If Content-Type says JSON, the body must be JSON, and an empty one is null. If it does not, only an object
    or a list counts as JSON, so that the text "42" stays text.

    Raises NotJsonError for a body that says that it is JSON and is not. Raises AnswerTooLargeError, before
    anything is parsed, for a body that takes more than `max_bytes` as JSON.
    """
    body = _utf_8_of(answer)
    if answer.claims_json or _STARTS_LIKE_JSON.match(body):
        _refuse_large(least_size(body), max_bytes)
        if answer.claims_json and (not body or body.isspace()):
            return None
        try:
            return _parsed(body)
        except NotJsonError:
            if answer.claims_json:
                raise
    _refuse_large(len(body), max_bytes)
    return body.decode(errors="replace")


def count_marks(data: bytes) -> int:
    """How many brackets, commas, colons and quotes there are.

    The memory that a parsed document takes grows with them, up to 40 bytes each, and not with its length:
    `[],` is three bytes, and takes 64 as a list. A document of 1 MiB of them takes 42 MB.
    """
    return sum(data.count(mark) for mark in _MARKS)


def least_size(data: bytes) -> int:
    """The least bytes that a JSON document takes if it is parsed and written again; nothing is parsed.

    Does not count what may be lost on the way: white space, digits, and all but one byte of each escape.
    Repeated keys are lost too, but are counted.
    """
    dense = len(data.translate(None, _MAY_VANISH)) - _ESCAPE_SAVES * data.count(b"\\")
    return max(dense, count_marks(data))


def excerpt_of(answer: Answer) -> str:
    """The beginning of the body in one line, for an error that a user reads; `...` if it goes on."""
    text = text_of(answer, answer.body[:_EXCERPT_BYTES]).strip()
    line = " ".join(text[: 4 * _EXCERPT_CHARS].split())
    goes_on = len(line) > _EXCERPT_CHARS or len(text) > 4 * _EXCERPT_CHARS
    if goes_on or len(answer.body) > _EXCERPT_BYTES:
        return f"{line[:_EXCERPT_CHARS].rstrip(_NO_CHARACTER)}..."
    return line


def _charset(answer: Answer) -> str:
    declared = _CHARSET.search(answer.headers.get("content-type", ""))
    try:
        charset = codecs.lookup(declared[1] if declared else _UTF_8).name
    except LookupError:
        return _UTF_8
    return _UTF_8 if charset in _REFUSED_CODECS else charset


def _utf_8_of(answer: Answer) -> bytes:
    """The body in UTF-8. If it names no other charset, it is taken as it is, invalid bytes included."""
    if _charset(answer) == _UTF_8:
        return answer.body.removeprefix(codecs.BOM_UTF8)
    return text_of(answer).encode()


def _parsed(body: bytes) -> JsonValue:
    try:
        return decode_bounded(body)
    except NotJsonError as error:
        if not isinstance(error.__cause__, UnicodeDecodeError):
            raise
    return decode_bounded(body.decode(errors="replace"))


def _refuse_large(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise AnswerTooLargeError(
            f"the answer takes at least {size} bytes as a result, the limit is {max_bytes} "
            "(FLOWENGINE_MAX_RESULT_BYTES): ask the service for less"
        )
