"""Finds what a service says went wrong, in whatever document it says it. Pure.

`{"error": {"message", "type", "code"}}` is OpenAI's form. Others put a text there, or the fields at the top,
or write `detail`, `errors`, a list around it all, or a page of HTML.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Final

from flowengine.handlers.llm.answers.tolerant_json import as_json, read_tolerant
from flowengine.handlers.llm.failure_table import Refusal
from flowengine.handlers.llm.rate_limit import waited_seconds
from flowengine.handlers.secrets.shown_text import CUT, redacted
from flowengine.jsonvalue import JsonValue, NotJsonError, encode

MAX_SENTENCE_CHARS: Final = 500

_MOST_NAMES: Final = 8
_MOST_DEPTH: Final = 4
_SENTENCES: Final = (
    "message", "error", "msg", "error_message", "errorMessage", "error_msg", "detail", "details",
    "error_description", "description", "title", "reason",
)  # fmt: skip
_NAMES: Final = ("code", "type", "error_type", "error_code", "errorCode", "status", "error", "__type")
_WAITS: Final = ("retryDelay", "retry_delay", "retry_after", "retryAfter", "retry_after_seconds")
_INSIDE: Final = ("error", "detail", "errors", "message")
_DEEPER: Final = ("innererror", "inner_error")
_MARKS_AN_ERROR: Final = ("errors", "detail", "error_message", "errorMessage", "error_msg")
_STATUS: Final = re.compile(r"[1-5][0-9]{2}\Z")
# Each stops at the next `<`, so that a page of ten million of them is read once.
_TITLE: Final = re.compile(r"<title[^<>]*>([^<]{1,400})", re.IGNORECASE)
_TAG: Final = re.compile(r"<[^<>]{0,2000}>")
_CODE: Final = re.compile(r"<(style|script)\b", re.IGNORECASE)
_CODE_END: Final = {name: re.compile(f"</{name}", re.IGNORECASE) for name in ("style", "script")}
_MOST_INNER_JSON: Final = 16 * 1024
_HTML: Final = re.compile(r"\s*<(!doctype|html|head|body|!--|\?xml)", re.IGNORECASE)
_TRACE_OF_A_KEY: Final = re.compile(r"\S*(\*{2,}|[\w-]\.{3}\w)\S*|\b[0-9a-fA-F]{32,}\b")


def is_error(document: JsonValue) -> bool:
    """Whether a document that came with status 200 tells of an error, and is no answer."""
    found = document[0] if isinstance(document, list) and document else document
    if not isinstance(found, dict):
        return False
    if found.get("error") or found.get("object") == "error":
        return True
    if found.get("choices"):
        return False  # an answer is there, and has been paid for: what is beside it is a remark
    if any(found.get(key) for key in _MARKS_AN_ERROR):
        return True
    return "choices" not in found and any(isinstance(found.get(key), str) for key in ("message", "msg"))


def refusal_in(document: JsonValue, status: int | None) -> Refusal:
    """What the document says. `status` is the answer's own, None for an answer that claims success."""
    parts = list(_parts(document, 0))
    inner = (_status_in(part) for part in parts)
    names = [name for part in parts for name in _names_in(part)]
    return Refusal(
        status=status or next(filter(None, inner), None),
        names=tuple(dict.fromkeys(names))[:_MOST_NAMES],
        sentence=sentence_of(next(filter(None, map(_sentence_in, parts)), "") or _written(parts)),
        wait_s=max((wait for part in parts for wait in _waits_in(part)), default=None),
    )


def refusal_in_text(text: str, status: int | None) -> Refusal:
    """What a body that is no JSON says: a page's title and words, or the text itself."""
    if _HTML.match(text):
        title = _TITLE.search(text)
        said = title[1] if title else _TAG.sub(" ", _without_code(text))
        text = f"a page of HTML: {html.unescape(' '.join(said.split()))}"
    return Refusal(status=status, sentence=sentence_of(text))


def _without_code(page: str) -> str:
    """The page without its styles and scripts; one that has no end takes the rest, as in browsers."""
    kept, at = [], 0
    while (start := _CODE.search(page, at)) is not None:
        kept.append(page[at : start.start()])
        end = _CODE_END[start[1].lower()].search(page, start.end())
        at = len(page) if end is None else end.start()
    return "".join((*kept, page[at:]))


def sentence_of(text: str) -> str:
    """The text in one line of at most 500 characters; a longer one ends in `...`.

    Secrets are taken out before it is cut.
    """
    most = 16 * MAX_SENTENCE_CHARS
    text = redacted(text if len(text) <= most else text[:most] + CUT)
    line = " ".join(text[: 8 * MAX_SENTENCE_CHARS].split())
    if len(line) <= MAX_SENTENCE_CHARS and len(text) <= 8 * MAX_SENTENCE_CHARS:
        return line
    return f"{line[: MAX_SENTENCE_CHARS - len(CUT)]}{CUT}"


def without_key(sentence: str) -> str:
    """The sentence without what services show of a key that they refuse: its ends, or its hash."""
    return _TRACE_OF_A_KEY.sub("***", sentence)


def _parts(document: JsonValue, depth: int) -> Iterator[JsonValue]:
    """The document's parts that may say what is wrong: an `error` before what it is in."""
    if depth > _MOST_DEPTH:
        return
    if isinstance(document, list):
        for item in document[:1]:
            yield from _parts(item, depth + 1)
    elif isinstance(document, dict):
        for key in _INSIDE:
            if isinstance(inner := _opened(document.get(key)), dict | list):
                yield from _parts(inner, depth + 1)
        yield document
        for key in _DEEPER:
            if isinstance(document.get(key), dict):
                yield from _parts(document[key], depth + 1)
    elif isinstance(document, str):
        yield document


def _opened(value: JsonValue) -> JsonValue:
    """The document inside a text: routers hand on as a text what the provider behind them has answered."""
    if not (isinstance(value, str) and value.lstrip()[:1] == "{" and len(value) <= _MOST_INNER_JSON):
        return value
    try:
        return read_tolerant(value.encode(errors="replace"))
    except NotJsonError:
        return value


def _sentence_in(part: JsonValue) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, dict):
        return ""
    for key in _SENTENCES:
        value = part.get(key)
        if isinstance(value, str) and value.strip():
            return value + _more_in(part)
    return ""


def _more_in(part: dict[str, JsonValue]) -> str:
    """What belongs to the sentence: where pydantic found it, or what the provider behind a router said."""
    place, metadata = part.get("loc"), part.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    if isinstance(raw, str) and raw.strip():
        return f": {raw}"
    return f" (at {'.'.join(map(str, place[:10]))})" if isinstance(place, list) else ""


def _written(parts: list[JsonValue]) -> str:
    """The outermost part as JSON, where nothing in it is a sentence."""
    whole = next((part for part in reversed(parts) if isinstance(part, dict)), None)
    return encode(as_json(whole)).decode() if whole else ""


def _names_in(part: JsonValue) -> Iterator[str]:
    if isinstance(part, dict):
        for key in _NAMES:
            value = part.get(key)
            if isinstance(value, str) and 0 < len(value) <= 80 and not _STATUS.match(value):
                yield value


def _waits_in(part: JsonValue) -> Iterator[float]:
    """Seconds that the part's fields ask to wait; Google's are in an item of `details`."""
    details = part.get("details") if isinstance(part, dict) else None
    for place in (part, *(details[:_MOST_NAMES] if isinstance(details, list) else ())):
        for key in _WAITS if isinstance(place, dict) else ():
            if (wait := waited_seconds(place.get(key))) is not None:
                yield wait


def _status_in(part: JsonValue) -> int | None:
    """The HTTP status that the part names: a number from 400 to 599, or a text of one."""
    if not isinstance(part, dict):
        return None
    for key in ("code", "status", "status_code", "statusCode", "http_code", "error"):
        value = part.get(key)
        text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
        if _STATUS.match(text) and int(text) >= 400:
            return int(text)
    return None
