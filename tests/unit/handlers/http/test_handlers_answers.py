"""An answer's body as a value, and the excerpt of it that an error shows."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowengine.handlers.http.answer import Answer, AnswerTooLargeError, excerpt_of, least_size
from flowengine.handlers.http.reading.answer_data import read_data
from flowengine.handlers.secrets.redaction import Secrets
from flowengine.handlers.secrets.shown_text import redacting
from flowengine.jsonvalue import JsonValue, encode

LIMIT = 1024 * 1024
json_values: st.SearchStrategy[JsonValue] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def answer(body: bytes, content_type: str | None = "application/json", status: int = 200) -> Answer:
    """An answer with that body."""
    headers = {} if content_type is None else {"content-type": content_type}
    return Answer(status_code=status, headers=headers, body=body)


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (b'{"a": 1}', "application/json", {"a": 1}),
        (b"42", "application/json; charset=utf-8", 42),
        (b"[1]", "application/problem+json", [1]),
        (b"42", "application/json, application/json", 42),
        (b"", "application/json", None),
        (b"\xef\xbb\xbf{}", "application/json", {}),
        (b'{"a": 1, "a": 2}', "application/json", {"a": 2}),
        ('{"a": "ü"}'.encode("utf-16"), "application/json; charset=utf-16", {"a": "ü"}),
        (b"42", "text/plain", "42"),
        (b"true", None, "true"),
        (b'{"a": 1}', "text/plain", {"a": 1}),
        (b"[1, 2]", None, [1, 2]),
        (b"{not json}", "text/plain", "{not json}"),
        (b"<p>", "text/html", "<p>"),
        (b"", "text/plain", ""),
        ("ü".encode("latin-1"), "text/plain; charset=iso-8859-1", "ü"),
        (b"\xff!", "text/plain; charset=utf-8", "\ufffd!"),
        (b"a", "text/plain; charset=no-such", "a"),
        (b"a", "text/plain; charset=zip", "a"),
        (b"a", "text/plain; charset=punycode", "a"),
        (b"+2AA-", "text/plain; charset=utf-7", "+2AA-"),
    ],
)
def test_a_body_becomes_json_where_it_is_json_else_text(
    body: bytes, content_type: str | None, expected: JsonValue
) -> None:
    """The text "42" stays text; an unknown or unsuitable charset never breaks a node."""
    assert read_data(answer(body, content_type), LIMIT).value == expected


LARGE = [
    (b"[" + b"[]," * 400_000 + b"0]", "application/json"),
    (b"[" + b"[]," * 400_000 + b"0]", None),
    (b'["' + b"x" * 1_100_000 + b'"]', "application/json"),
    (b"x" * 1_100_000, "text/plain"),
    (("x" * 1_100_000).encode("utf-16"), "text/plain; charset=utf-16"),
    (("[" + "[]," * 400_000 + "0]").encode("utf-16"), "application/json; charset=utf-16"),
]


@pytest.mark.parametrize(("body", "content_type"), LARGE)
def test_a_body_that_cannot_become_a_result_is_not_parsed(
    body: bytes, content_type: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A parsed one may take forty times its size."""
    monkeypatch.setattr("flowengine.handlers.http.reading.answer_data.decode_bounded", None)
    with pytest.raises(AnswerTooLargeError, match="the limit is 1048576"):
        read_data(answer(body, content_type), LIMIT)


def test_a_long_body_that_becomes_a_small_result_is_parsed() -> None:
    """White space, escapes and digits do not count: results are written without them."""
    for body in (
        b"[" + b" " * 3_000_000 + b"1]",
        b'["' + rb"\u00e9" * 400_000 + b'"]',
        b"[1." + b"0" * 2_000_000 + b"]",
    ):
        assert len(encode(read_data(answer(body), LIMIT).value)) <= LIMIT


@given(json_values, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_a_document_is_never_smaller_than_its_least_size(
    value: JsonValue, indent: int | str | None, ascii_only: bool
) -> None:
    """Nothing that would fit is refused."""
    for written in (json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode(), encode(value)):
        assert least_size(written) <= len(encode(value))


def test_an_excerpt_is_short_and_one_line() -> None:
    """Errors are read in a terminal."""
    assert excerpt_of(answer(b"a\n\n  b")) == "a b"
    assert len(excerpt_of(answer(b"x" * 10_000))) == 303


@pytest.mark.parametrize(
    "body",
    [
        b"start" + b" " * 1190 + b"canary-secret-value",
        b"x" * 290 + b" canary-secret-value",
        b"x" + b" \n" * 9000 + b"canary-secret-value",
        ("x" * 290 + " canary-secret-value").encode("utf-16"),
    ],
)
def test_an_excerpt_is_redacted_before_it_is_cut(body: bytes) -> None:
    """A part of a secret could not be recognised."""
    secrets = Secrets({}, own=["canary-secret-value"])
    cut = answer(body, "text/plain; charset=utf-16" if body[:2] == b"\xff\xfe" else "text/plain")
    with redacting(secrets.redact):
        excerpt = excerpt_of(cut)
    assert excerpt.endswith(("...", "***"))
    assert "cana" not in excerpt


def test_white_space_at_the_end_is_no_cut() -> None:
    """Many services end with a line break."""
    assert excerpt_of(answer(b"a b\r\n" + b" " * 5000)) == "a b"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"OK", "application/json"),
        (b"<html>", "application/problem+json"),
        (b"{", "text/json"),
        (b"42", None),
    ],
)
def test_what_is_no_json_is_text_and_says_so(body: bytes, content_type: str | None) -> None:
    """A gateway's page under the header of the service behind it is not lost."""
    data = read_data(answer(body, content_type), LIMIT)
    assert (data.value, data.is_json) == (body.decode(), False)
    assert data.not_json


@pytest.mark.parametrize(
    ("body", "value", "warning"),
    [
        (b'{"a": NaN, "b": [-Infinity, Infinity, 1e999]}', {"a": None, "b": [None, None, None]}, "null: 4"),
        (b"NaN", None, "null: 1"),
        (b'{"a": "\\ud83d!", "\\udc00": 1}', {"a": "\ufffd!", "\ufffd": 1}, "surrogate pairs"),
        (b'{"a": "\\ud83d\\ude00", "n": NaN}', {"a": "\U0001f600", "n": None}, "null: 1"),
        (b'{"a": "\xff"}', {"a": "\ufffd"}, "not valid utf-8"),
        (b"[" + b"9" * 5000 + b"]", [None], "too long"),
        ('{"a": "\ud83d"}'.encode("utf-16", "surrogatepass"), {"a": "\ufffd"}, "not valid utf-16-le"),
        ('{"a": "\ud83d"}'.encode("utf-16-be", "surrogatepass"), {"a": "\ufffd"}, "not valid utf-16-be"),
    ],
)
def test_what_json_cannot_carry_is_replaced_and_said(body: bytes, value: JsonValue, warning: str) -> None:
    """Python's and JavaScript's servers write such documents; the rest of them is worth having."""
    data = read_data(answer(body), LIMIT)
    assert (data.value, data.is_json) == (value, True)
    assert warning in " ".join(data.warnings)


@pytest.mark.parametrize("charset", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
def test_json_is_read_in_every_form_of_unicode(charset: str) -> None:
    """With a byte order mark or, in its wide forms, without one."""
    data = read_data(answer('{"a": "\u00fc"}'.encode(charset)), LIMIT)
    assert (data.value, data.warnings) == ({"a": "\u00fc"}, ())


def test_json_that_is_utf_8_is_read_as_utf_8_whatever_its_header_says() -> None:
    """JSON knows no other charset (RFC 8259); one in another charset is read by its header all the same."""
    latin = "application/json; charset=ISO-8859-1"
    assert read_data(answer('"\u00fc"'.encode(), latin), LIMIT).value == "\u00fc"
    assert read_data(answer('"\u00fc"'.encode("latin-1"), latin), LIMIT).value == "\u00fc"


PNG = b"\x89PNG\r\n\x1a\n\x00\x00"


@pytest.mark.parametrize(
    ("body", "content_type", "media_type"),
    [
        (PNG, "image/png", "image/png"),
        (PNG, "Image/PNG; q=1", "image/png"),
        (b"GIF89a", "image/gif", "image/gif"),
        (PNG, None, "application/octet-stream"),
        (PNG, "application/octet-stream", "application/octet-stream"),
        (PNG, "text/html; charset=utf-8", "text/html"),
        (PNG, "application/json", "application/json"),
        (b"PK\x03\x04\xff", "application/zip", "application/zip"),
        (b"PK\x03\x04\xff", "application/vnd.ms-excel", "application/vnd.ms-excel"),
        (b"\x08\x01", "application/x-protobuf", "application/x-protobuf"),
        (b"\x1f\x8b\x08\xff", "application/json", "application/json"),
        (b"%PDF-1.7 plain", "application/pdf", "application/pdf"),
        (b"\xe4", "application/octet-stream", "application/octet-stream"),
    ],
)
def test_bytes_that_are_no_text_become_base64(body: bytes, content_type: str | None, media_type: str) -> None:
    """By their type or by what they are; none of them turns into U+FFFD."""
    data = read_data(answer(body, content_type), LIMIT)
    assert isinstance(data.value, str)
    assert base64.b64decode(data.value) == body
    assert (data.encoding, data.content_type, data.is_json) == ("base64", media_type, False)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"<svg/>", "image/svg+xml"),
        (b"hello", "application/octet-stream"),
        (b"hello", "binary/octet-stream"),
        (b"a: 1", "application/yaml"),
        (b"a,b", "text/csv"),
        (b"a;b", "application/vnd.ms-excel"),
        (b"#EXTM3U", "audio/x-mpegurl"),
        (b'{"a":1}\n{"a":2}', "application/x-ndjson"),
        (b"zero \x00 byte", "text/plain"),
    ],
)
def test_text_under_a_type_that_is_none_stays_text(body: bytes, content_type: str) -> None:
    """Object stores say `octet-stream` of all that they keep."""
    data = read_data(answer(body, content_type), LIMIT)
    assert (data.value, data.encoding) == (body.decode(), None)


def test_base64_counts_as_what_it_takes_in_the_result() -> None:
    """Four bytes for each three."""
    fits = read_data(answer(bytes(3 * LIMIT // 4), "image/png"), LIMIT)
    assert len(str(fits.value)) == LIMIT
    with pytest.raises(AnswerTooLargeError):
        read_data(answer(bytes(3 * LIMIT // 4 + 1), "image/png"), LIMIT)


@pytest.mark.parametrize("content_type", ["text/plain", "application/octet-stream", None])
def test_every_value_counts_as_json_where_it_is_asked_for(content_type: str | None) -> None:
    """With `require_json`, a number is one under any type."""
    assert read_data(answer(b"42", content_type), LIMIT, any_json=True).value == 42
    assert not read_data(answer(b"", content_type), LIMIT, any_json=True).is_json
