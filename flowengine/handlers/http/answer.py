"""The answer of an HTTP service: its status, headers and body. Pure.

JSON takes up to 40 times its size once it is parsed. So what a body would take can be counted here first,
without a parse.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final

import msgspec

from flowengine.handlers.http.reading.charsets import Text, text_of_bytes
from flowengine.handlers.secrets.shown_text import redacted

READ_ON_LOOP_BYTES: Final = 64 * 1024
"""To read a larger body takes long: a thread does it, and the event loop turns other nodes meanwhile."""

_JSON_TYPE: Final = re.compile(r"\s*(application|text)/([\w.+-]+\+)?json\s*([;,]|\Z)", re.IGNORECASE)
_MARKS: Final = tuple(b',:[]{}"')
_MAY_VANISH: Final = b" \t\r\n0123456789+-.eE"
_ESCAPE_SAVES: Final = len(rb"\u0041") - len(b"A")
_EXCERPT_CHARS: Final = 300
_EXCERPT_BYTES: Final = 16 * 1024
_NO_CHARACTER: Final = "\ufffd"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A response. Header names are in lower case; the values of a repeated header are joined by commas.

    `pairs` are the headers as they came. `cookies` are the values of `Set-Cookie`, which cannot be joined and
    are not in `headers`. `has_body`: False where HTTP allows none (HEAD, 204, 304). Of an error's body, only
    the beginning is kept; `body_problem` says what was wrong with one that could not be read.
    """

    status_code: int
    headers: dict[str, str]
    body: bytes
    cookies: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    has_body: bool = True
    body_problem: str | None = None

    @property
    def content_type(self) -> str:
        """Content-Type, or an empty text."""
        return self.headers.get("content-type", "")

    @property
    def claims_json(self) -> bool:
        """Whether Content-Type says JSON."""
        return _JSON_TYPE.match(self.content_type) is not None

    @property
    def status_line(self) -> str:
        """`404 Not Found`."""
        try:
            return f"{self.status_code} {HTTPStatus(self.status_code).phrase}"
        except ValueError:
            return str(self.status_code)

    def values(self, name: str) -> list[str]:
        """The values of a header, one for each time that it stands in the answer."""
        if self.pairs:
            return [value for key, value in self.pairs if key == name]
        return [self.headers[name]] if name in self.headers else []


class AnswerTooLargeError(ValueError):
    """The body would be larger than a result may be; the message has both figures."""


def text_of(answer: Answer) -> Text:
    """The body as text, decoded as browsers do."""
    return text_of_bytes(answer.body, answer.content_type)


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
    """The beginning of the body in one line, for an error that a user reads; `...` if it goes on.

    Secrets are taken out before it is cut, so that no part of one is left.
    """
    is_whole = len(answer.body) <= _EXCERPT_BYTES
    text = text_of_bytes(answer.body[:_EXCERPT_BYTES], answer.content_type, is_whole=is_whole).text.strip()
    line = " ".join(redacted(text).split())
    if len(line) > _EXCERPT_CHARS or not is_whole:
        return f"{line[:_EXCERPT_CHARS].rstrip(_NO_CHARACTER)}..."
    return line


def refuse_large(size: int, max_bytes: int) -> None:
    """Raises AnswerTooLargeError if a result of `size` bytes would be over the limit."""
    if size > max_bytes:
        raise AnswerTooLargeError(
            f"the answer takes at least {size} bytes as a result, the limit is {max_bytes} "
            "(FLOWENGINE_MAX_RESULT_BYTES): ask the service for less"
        )
