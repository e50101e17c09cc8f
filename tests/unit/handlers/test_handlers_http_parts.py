"""The pure parts of an HTTP call: the request, Retry-After, bodies and what they mean."""

from __future__ import annotations

import gzip
import itertools
import json
import zlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowengine.execution.error_codes import REDIRECT_REFUSED
from flowengine.handlers.http.answer import Answer, AnswerTooLargeError, data_of, excerpt_of, least_size
from flowengine.handlers.http.body_decoder import (
    MAX_PIECES,
    BodyDecoder,
    BodyEncodingError,
    BodyTooLargeError,
)
from flowengine.handlers.http.exchange import TryFailedError, attempt_timeout, redirected
from flowengine.handlers.http.outgoing_request import prepare_request, public_url
from flowengine.handlers.http.retries import retry_after_seconds
from flowengine.handlers.secrets.redaction import Secrets
from flowengine.jsonvalue import JsonValue, NotJsonError, encode
from flowengine.plugin import HandlerError
from tests.support.http_server import gzip_bomb

LIMIT = 1024 * 1024
json_values: st.SearchStrategy[JsonValue] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
NOW = datetime(2030, 1, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2", 2.0),
        (" 0 ", 0.0),
        ("1.5", 1.5),
        ("3600", 60.0),
        ("999999999999", 60.0),
        (format_datetime(NOW + timedelta(seconds=7), usegmt=True), 7.0),
        (format_datetime(NOW + timedelta(days=1), usegmt=True), 60.0),
        (format_datetime(NOW - timedelta(days=1), usegmt=True), 0.0),
        ("Tuesday, 01-Jan-30 12:00:05 GMT", 5.0),
        ("-1", None),
        ("soon", None),
        ("", None),
        ("9" * 5000, None),
        (None, None),
    ],
)
def test_retry_after_is_read_in_seconds_and_as_a_date(value: str | None, expected: float | None) -> None:
    """Seconds or an HTTP date, never below 0 nor above 60; nonsense is as good as no header."""
    assert retry_after_seconds(value, now=NOW) == expected


@given(st.text())
def test_no_retry_after_header_breaks_the_reader(value: str) -> None:
    """Whatever a server sends, the wait is None or within bounds."""
    seconds = retry_after_seconds(value, now=NOW)
    assert seconds is None or 0 <= seconds <= 60


def request_of(url: str = "http://a.test/", **parts: object) -> tuple[str, dict[str, str], bytes | None]:
    """URL, headers and body that a config leads to."""
    config: dict[str, object] = {"method": "post", "headers": {}, "params": {}, "body": None, **parts}
    made = prepare_request(url=url, **config)  # type: ignore[arg-type]  # the cases below are typed by eye
    return made.url, dict(made.headers), made.content


def test_params_are_added_to_the_query_that_is_there() -> None:
    """Existing query parts stay, lists repeat, booleans are JSON's, nulls are left out."""
    url, _, _ = request_of("http://a.test/x?a=1#part", params={"b": [1, "ü &"], "c": True, "d": None})
    assert url == "http://a.test/x?a=1&b=1&b=%C3%BC+%26&c=true"


def test_text_is_sent_as_it_is_and_the_rest_as_json() -> None:
    """A text body is not quoted; a content type that the user set wins."""
    assert request_of(body="42")[1:] == ({"Content-Type": "text/plain; charset=utf-8"}, b"42")
    assert request_of(body={"a": 1})[1:] == ({"Content-Type": "application/json"}, b'{"a":1}')
    assert request_of(body=[], headers={"content-type": "x/y"})[1:] == ({"content-type": "x/y"}, b"[]")
    assert request_of(body=None)[1:] == ({}, None)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"url": "ftp://a.test/"}, "must start with http"),
        ({"url": "a.test"}, "must start with http"),
        ({"url": "file:///etc/passwd"}, "must start with http"),
        ({"url": "http://"}, "names no host"),
        ({"url": "http://a.test:0/"}, "names no host"),
        ({"url": "http://a.test:99999/"}, "cannot be read"),
        ({"url": "http://[::1/"}, "cannot be read"),
        ({"url": "http://a.test/\r\nHost: b"}, "control character"),
        ({"url": "http://a.test/a b"}, "percent-encode"),
        ({"url": "http://a.test/" + "x" * 20_000}, "the limit is 16384"),
        ({"url": "http://a.test/\ud800"}, "not valid Unicode"),
        ({"method": "GET / HTTP/1.1\r\nX: y"}, "not an HTTP method"),
        ({"method": "CONNECT"}, "opens a tunnel"),
        ({"headers": {"X-A": "1\r\nX-B: 2"}}, "'X-A' contains a line break"),
        ({"headers": {"X-A": "1\n"}}, "'X-A' contains a line break"),
        ({"headers": {"X-A\r\nX-B": "2"}}, "header name"),
        ({"headers": {"X A": "2"}}, "header name"),
        ({"headers": {"": "2"}}, "header name"),
        ({"headers": {"X-A": "\x00"}}, "control character"),
        ({"headers": {"Transfer-Encoding": "chunked"}}, "belongs to the connection"),
        ({"body": {"a": float("inf")}}, "cannot be written as JSON"),
    ],
)
def test_a_request_that_could_be_misread_is_refused(parts: dict[str, object], message: str) -> None:
    """Header and request smuggling end here, with an error naming the part at fault."""
    with pytest.raises(HandlerError, match=message) as caught:
        request_of(**parts)  # type: ignore[arg-type]  # as above
    assert caught.value.code == "invalid_request"


def test_what_is_shown_of_a_url_has_no_query_and_no_credentials() -> None:
    """Labels go to logs and errors."""
    assert public_url("https://me:pw@a.test:8443/p?token=1#f") == "https://a.test:8443/p"
    assert public_url("http://[") == "(an invalid URL)"


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
        (b"\xff!", "text/plain", "\ufffd!"),
        (b"a", "text/plain; charset=no-such", "a"),
        (b"a", "text/plain; charset=zip", "a"),
        (b"a", "text/plain; charset=punycode", "a"),
        (b"+2AA-", "text/plain; charset=utf-7", "?"),
    ],
)
def test_a_body_becomes_json_where_it_is_json_else_text(
    body: bytes, content_type: str | None, expected: JsonValue
) -> None:
    """The text "42" stays text; an unknown or unsuitable charset never breaks a node."""
    assert data_of(answer(body, content_type), LIMIT) == expected


@pytest.mark.parametrize("body", [b"<html>", b"{", b"NaN", b'{"a": Infinity}', b"[" * 100_000])
def test_an_answer_that_claims_to_be_json_must_be(body: bytes) -> None:
    """Else a broken service would look like one that answers text."""
    with pytest.raises(NotJsonError):
        data_of(answer(body), LIMIT)


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
    """Parsed, it would take forty times its size."""
    monkeypatch.setattr("flowengine.handlers.http.answer.decode_bounded", None)
    with pytest.raises(AnswerTooLargeError, match="the limit is 1048576"):
        data_of(answer(body, content_type), LIMIT)


def test_a_long_body_that_becomes_a_small_result_is_parsed() -> None:
    """White space, escapes and digits do not count: results are written without them."""
    for body in (
        b"[" + b" " * 3_000_000 + b"1]",
        b'["' + rb"\u00e9" * 400_000 + b'"]',
        b"[1." + b"0" * 2_000_000 + b"]",
    ):
        assert len(encode(data_of(answer(body), LIMIT))) <= LIMIT


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
def test_an_excerpt_says_where_it_was_cut(body: bytes) -> None:
    """Only where a text says so is the start of a secret looked for."""
    secrets = Secrets({}, own=["canary-secret-value"])
    cut = answer(body, "text/plain; charset=utf-16" if body[:2] == b"\xff\xfe" else "text/plain")
    excerpt = excerpt_of(cut)
    assert excerpt.endswith("...")
    assert "cana" not in secrets.redact(excerpt)


def test_white_space_at_the_end_is_no_cut() -> None:
    """Many services end with a line break."""
    assert excerpt_of(answer(b"a b\r\n" + b" " * 5000)) == "a b"


@pytest.mark.parametrize("method", ["canary-secret-value of a token", "canary-secret-value" * 3])
def test_a_method_that_is_none_is_not_quoted(method: str) -> None:
    """It may be a secret that was put into the wrong field, and be cut."""
    with pytest.raises(HandlerError, match="method is not") as caught:
        request_of(method=method)
    assert "canary" not in caught.value.message


def test_what_is_quoted_in_part_is_marked_as_cut() -> None:
    """A header's name and an encoding may be anything."""
    with pytest.raises(HandlerError, match=r"'x x*'\.\.\. contains"):
        request_of(headers={"x " + "x" * 90: ""})
    with pytest.raises(BodyEncodingError, match=r"'x*'\.\.\. is not"):
        BodyDecoder("x" * 90)


def decoded(encoding: str, *chunks: bytes, limit: int = 1_000_000) -> bytes:
    """The chunks decoded, to the end."""
    decoder = BodyDecoder(encoding, limit)
    body = b"".join(piece for chunk in chunks for piece in decoder.pieces(chunk))
    decoder.finish()
    return body


def test_bodies_are_decoded_in_any_chunking() -> None:
    """gzip (several members and padding too), deflate in both forms, and plain."""
    data = b"hello " * 1000
    packed = gzip.compress(data)
    bare = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    assert decoded("gzip", *(packed[at : at + 7] for at in range(0, len(packed), 7))) == data
    assert decoded("gzip", packed + packed, b"\0\0") == data + data
    assert decoded("Deflate", zlib.compress(data)) == data
    assert decoded("deflate", bare.compress(data) + bare.flush()) == data
    assert decoded("identity", b"a", b"b") == b"ab"
    assert decoded("gzip") == b""


def test_a_gzip_bomb_ends_at_the_limit() -> None:
    """No more than a piece beyond the limit is ever decompressed."""
    bomb = gzip_bomb(50).body
    with pytest.raises(BodyTooLargeError):
        decoded("gzip", bomb)


@pytest.mark.parametrize(
    ("encoding", "chunk"),
    [("", b"x"), ("gzip", gzip.compress(b"")), ("gzip", gzip.compress(b"") * 2)],
    ids=["chunks", "empty members", "several to a chunk"],
)
def test_a_body_in_very_many_pieces_is_refused(encoding: str, chunk: bytes) -> None:
    """Each costs time and memory of its own, however little is in it."""
    with pytest.raises(BodyTooLargeError, match="more than 100000 pieces"):
        decoded(encoding, *itertools.repeat(chunk, MAX_PIECES + 1), limit=1_000_000_000)


def test_what_is_sent_is_bounded_even_where_nothing_comes_out() -> None:
    """Padding after the end of compressed data is ignored, but not for ever."""
    with pytest.raises(BodyTooLargeError, match="before it is decoded"):
        decoded("gzip", gzip.compress(b"x"), *itertools.repeat(bytes(1000), 1000))


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("gzip", b"not gzip"), ("deflate", b"\xff\xff"), ("gzip", gzip.compress(b"x" * 99)[:-9])],
)
def test_a_body_that_is_not_what_it_claims_is_an_error(encoding: str, body: bytes) -> None:
    """Damaged and cut compressed data fails, it is not passed on in part."""
    with pytest.raises(BodyEncodingError):
        decoded(encoding, body)


@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "zstd"])
def test_unknown_and_stacked_encodings_are_refused(encoding: str) -> None:
    """Stacked encodings exist to multiply a bomb."""
    with pytest.raises(BodyEncodingError, match="not supported"):
        BodyDecoder(encoding)


@pytest.mark.parametrize(
    ("left", "silence", "connect"), [(5, 5, 5), (40, 30, 10), (300, 150, 10), (3600, 1800, 10)]
)
def test_a_try_may_be_silent_for_half_of_the_time_left(left: float, silence: float, connect: float) -> None:
    """A hanging try leaves time for another; a short timeout is given whole to the first."""
    timeout = attempt_timeout(left)
    assert (timeout.read, timeout.connect) == (silence, connect)


@pytest.mark.parametrize(
    ("here", "there", "kept"),
    [
        ("https://a.test/", "https://a.test/x", True),
        ("http://a.test/", "https://a.test/", True),
        ("http://a.test:8000/", "https://a.test/", False),
        ("https://a.test/", "https://a.test:8443/", False),
        ("https://a.test/", "https://b.a.test/", False),
        ("https://a.test/", "https://a.test.evil.test/", False),
    ],
)
def test_a_credential_follows_only_to_the_same_service(here: str, there: str, kept: bool) -> None:
    """Same host and port, or the upgrade of the standard ports to https."""
    following = httpx.Request("GET", there, headers={"X-Api-Key": "s"})
    sent = redirected(httpx.Request("GET", here), following)
    assert ("x-api-key" in sent.headers) is kept


def test_a_redirect_from_https_to_http_is_refused() -> None:
    """Neither the request nor its answer may go in the clear all of a sudden."""
    with pytest.raises(TryFailedError, match=r"from https to http://a\.test/x is not followed"):
        redirected(httpx.Request("GET", "https://a.test/"), httpx.Request("GET", "http://a.test/x?q=1"))


@pytest.mark.parametrize(
    ("there", "content", "followed"),
    [
        ("http://b.test/x", b"password=1", False),
        ("http://a.test:8080/x", b"password=1", False),
        ("http://a.test/x", b"password=1", True),
        ("https://a.test/x", b"password=1", True),
        ("http://b.test/x", None, True),
        ("http://b.test/x", b"", True),
    ],
)
def test_a_body_follows_only_to_the_same_service(there: str, content: bytes | None, followed: bool) -> None:
    """A body may hold a secret as a header may, and nothing of it can be left out."""
    here = httpx.Request("POST", "http://a.test/", content=content)
    following = httpx.Request("POST", there, content=content)
    if followed:
        assert redirected(here, following) is following
    else:
        with pytest.raises(TryFailedError, match="body on to") as caught:
            redirected(here, following)
        assert (caught.value.code, caught.value.retryable) == (REDIRECT_REFUSED, False)
