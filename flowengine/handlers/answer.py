"""What came back from an HTTP service, and its body as a value. Pure."""

from __future__ import annotations

import codecs
import re
from http import HTTPStatus
from typing import Final

import msgspec

from flowengine.handlers.json_text import NotJsonError, parse_json
from flowengine.jsonvalue import JsonValue

_JSON_TYPE: Final = re.compile(r"\s*(application|text)/([\w.+-]+\+)?json\s*(;|\Z)", re.IGNORECASE)
_CHARSET: Final = re.compile(r";\s*charset\s*=\s*\"?([\w.:-]{1,40})", re.IGNORECASE)
# Codecs whose decoding takes time that grows with the square of the input, or that are no charsets.
_REFUSED_CODECS: Final = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined"})
_EXCERPT_CHARS: Final = 300


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A complete response. Header names are lower-cased; of a repeated header, values are joined."""

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


def text_of(answer: Answer) -> str:
    """The body as text; what its charset cannot decode becomes U+FFFD. Never fails."""
    declared = _CHARSET.search(answer.headers.get("content-type", ""))
    body = answer.body.removeprefix(codecs.BOM_UTF8)
    try:
        charset = codecs.lookup(declared[1] if declared else "utf-8").name
        if charset in _REFUSED_CODECS:
            charset = "utf-8"
        text = body.decode(charset, errors="replace")
    except (LookupError, ValueError):
        text = body.decode(errors="replace")
    return text.encode(errors="replace").decode()


def data_of(answer: Answer) -> JsonValue:
    """The body as a value: JSON where it is JSON, else text.

    A body that claims to be JSON must be: NotJsonError otherwise. Without the claim only an object
    or a list counts, so that the text "42" stays text. An empty body that claims JSON is null.
    """
    text = text_of(answer)
    if answer.claims_json:
        return parse_json(text) if text.strip() else None
    if text.lstrip()[:1] in ("{", "["):
        try:
            return parse_json(text)
        except NotJsonError:
            return text
    return text


def excerpt_of(answer: Answer) -> str:
    """The beginning of the body, in one line, for an error that a user will read."""
    text = " ".join(text_of(answer)[: 4 * _EXCERPT_CHARS].split())
    return text if len(text) <= _EXCERPT_CHARS else f"{text[:_EXCERPT_CHARS]}..."
