"""An answer's body as a value, and the excerpt of it that an error shows."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowengine.handlers.http.answer import Answer, AnswerTooLargeError, data_of, excerpt_of, least_size
from flowengine.handlers.secrets.redaction import Secrets
from flowengine.jsonvalue import JsonValue, NotJsonError, encode

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
    """Otherwise a broken service would look like one that answers with text."""
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
    """A parsed one may take forty times its size."""
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
    """Redaction looks for the start of a secret only before a `...`."""
    secrets = Secrets({}, own=["canary-secret-value"])
    cut = answer(body, "text/plain; charset=utf-16" if body[:2] == b"\xff\xfe" else "text/plain")
    excerpt = excerpt_of(cut)
    assert excerpt.endswith("...")
    assert "cana" not in secrets.redact(excerpt)


def test_white_space_at_the_end_is_no_cut() -> None:
    """Many services end with a line break."""
    assert excerpt_of(answer(b"a b\r\n" + b" " * 5000)) == "a b"
