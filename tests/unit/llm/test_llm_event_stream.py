"""Server-sent events, cut anywhere, and as services write them otherwise than the standard says."""

from __future__ import annotations

import pytest

from flowengine.handlers.llm.answers import event_stream
from flowengine.handlers.llm.answers.event_stream import (
    BadEventError,
    EventStream,
    EventTooLargeError,
    begins_like_events,
)
from flowengine.jsonvalue import JsonValue


def read(*pieces: bytes, most_marks: int = 1000) -> list[JsonValue]:
    """All documents of a body that comes in these pieces."""
    stream = EventStream(most_marks)
    found = [document for piece in pieces for document in stream.documents(piece)]
    return [*found, *stream.rest()]


BODY = (
    b': hi\r\n\r\nevent: x\r\nid: 1\r\ndata: {"a":1}\r\n\r\n'
    b'data:{"b":\ndata: 2}\n\ndata: {"c":3}\rdata: {"d":"\xc3\xbc"}'
)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_documents_do_not_depend_on_how_the_body_is_cut(size: int) -> None:
    """Not even between a carriage return and its line feed, or within a character."""
    pieces = [BODY[at : at + size] for at in range(0, len(BODY), size)]
    assert read(*pieces) == [{"a": 1}, {"b": 2}, {"c": 3}, {"d": "ü"}]


@pytest.mark.parametrize(
    ("body", "documents"),
    [
        (b'data: {"a":1}\n\ndata: [DONE]\n\ndata: {"b":2}\n\n', [{"a": 1}]),
        (b'{"a":1}\n{"b":2}\n', [{"a": 1}, {"b": 2}]),
        (b'error: {"message":"x"}\n\n', [{"error": {"message": "x"}}]),
        (b"error: all is lost\n\n", [{"error": "all is lost"}]),
        (b'event: error\ndata: {"error":"x"}\n\n', [{"error": "x"}]),
        (b'\xef\xbb\xbfdata: {"a":1}\n\n', [{"a": 1}]),
        (b'data: {"a":NaN}\n\n', [{"a": None}]),
        (b"retry: 5\n\n: nothing\n\ndata:\n\n", []),
        (b"", []),
    ],
)
def test_events_are_read_as_they_are_meant(body: bytes, documents: list[JsonValue]) -> None:
    """What comes after `[DONE]` is no part of the answer."""
    assert read(body) == documents


@pytest.mark.parametrize(
    ("start", "answer"),
    [
        (b"data: x", True), (b"event:x", True), (b": ping", True), (b":", True),
        (b"\xef\xbb\xbfdata:", True),
        (b"error: x", True), (b"da", None), (b"", None), (b"{", False), (b"<html>", False),
        (b"date: x", False),
        (b"[", False), (b"hello", False),
    ],
)  # fmt: skip
def test_the_beginning_of_a_body_tells_what_it_is(start: bytes, answer: bool | None) -> None:
    """As soon as enough of it has come."""
    assert begins_like_events(start) is answer


def test_an_event_that_is_no_json_is_an_error() -> None:
    """At its end, where it is known that nothing follows."""
    with pytest.raises(BadEventError):
        read(b"data: {nonsense\n\n")


@pytest.mark.parametrize(
    "body", [b"data: " + b"x" * 300, b"data: x\n" * 60, b"data: " + b"[],{}" * 60 + b"\n"]
)
def test_an_event_is_bounded_before_it_is_parsed(monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    """One line, many lines, many brackets."""
    monkeypatch.setattr(event_stream, "MAX_EVENT_BYTES", 50)
    with pytest.raises(EventTooLargeError):
        read(body, most_marks=100)


@pytest.mark.parametrize("line", [b"\n", b":\n", b"data: {}\n", b"event: x\n"])
def test_lines_that_carry_no_text_end_too(monkeypatch: pytest.MonkeyPatch, line: bytes) -> None:
    """A stream of a million comments is no answer."""
    monkeypatch.setattr(event_stream, "MAX_LINES", 100)
    with pytest.raises(EventTooLargeError):
        read(line * 101)
