"""What a request sends: text, JSON, forms and files."""

from __future__ import annotations

import base64
from email.message import Message
from email.parser import BytesParser
from typing import Any

import pytest

from flowengine.handlers.http.outgoing_request import OutgoingRequest, prepare_request
from flowengine.handlers.http.request_bodies import FilePart
from flowengine.plugin import HandlerError

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def request_of(
    body: Any = None, headers: dict[str, str] | None = None, files: dict[str, Any] | None = None
) -> OutgoingRequest:
    """The request of a config."""
    return prepare_request(
        method="POST", url="http://a.test/", headers=headers or {}, params={}, body=body, files=files or {}
    )


def content_type(request: OutgoingRequest) -> str:
    """Its one Content-Type."""
    (found,) = (value for name, value in request.headers if name.lower() == "content-type")
    return found


def parts_of(request: OutgoingRequest) -> list[Message]:
    """The parts of a multipart request, as another parser reads them."""
    head = f"Content-Type: {content_type(request)}\r\n\r\n".encode()
    message = BytesParser().parsebytes(head + (request.content or b""))
    assert message.is_multipart()
    return [part for part in message.get_payload() if isinstance(part, Message)]


def refusal(**config: Any) -> str:
    """Why the request is not sent."""
    with pytest.raises(HandlerError) as caught:
        request_of(**config)
    assert caught.value.code == "invalid_request"
    return caught.value.message


@pytest.mark.parametrize("header", ["Content-Type", "content-type"])
def test_an_object_under_a_forms_header_is_sent_as_a_form(header: str) -> None:
    """Lists repeat their name, nulls are left out, booleans are JSON's."""
    body = {"a b": "ü &=", "n": 1.5, "list": [1, "x"], "yes": True, "none": None, "empty": ""}
    sent = request_of(body, {header: "application/x-www-form-urlencoded; charset=utf-8"})
    assert sent.content == b"a+b=%C3%BC+%26%3D&n=1.5&list=1&list=x&yes=true&empty="
    assert content_type(sent) == "application/x-www-form-urlencoded; charset=utf-8"


def test_a_text_under_a_forms_header_is_sent_as_it_is() -> None:
    """The author has encoded it."""
    assert request_of("a=1&b=2", FORM).content == b"a=1&b=2"
    assert request_of({}, FORM).content == b""


@pytest.mark.parametrize("body", [{"a": {"b": 1}}, {"a": [[1]]}, {"a": [{"b": 1}]}, [1], 42, True])
def test_what_a_form_cannot_carry_is_refused(body: Any) -> None:
    """Frameworks disagree about how to write it."""
    assert "application/x-www-form-urlencoded" in refusal(body=body, headers=FORM)


@pytest.mark.parametrize(
    "kind", ["application/xml", "application/soap+xml; charset=utf-8", "text/csv", "text/html"]
)
def test_json_is_not_sent_under_a_header_that_promises_something_else(kind: str) -> None:
    """The service would refuse it, or worse."""
    assert "write it as a text" in refusal(body={"a": 1}, headers={"Content-Type": kind})


@pytest.mark.parametrize("kind", ["application/vnd.api+json", "application/x-amz-json-1.1", "text/plain"])
def test_json_is_sent_under_any_other_header(kind: str) -> None:
    """Services have names of their own for JSON."""
    assert request_of({"a": 1}, {"Content-Type": kind}).content == b'{"a":1}'


def test_a_text_is_sent_in_the_charset_that_its_header_names() -> None:
    """Or refused, if that charset lacks a character."""
    latin = {"Content-Type": "text/plain; charset=ISO-8859-1"}
    assert request_of("ü", latin).content == b"\xfc"
    assert "lacks" in refusal(body="日", headers=latin)
    assert request_of("ü", {"Content-Type": "text/plain; charset=utf-8"}).content == "ü".encode()


def test_files_are_sent_beside_the_fields_of_the_body() -> None:
    """As multipart/form-data, which another parser reads."""
    sent = request_of(
        {"title": "Ü", "tag": ["a", "b"], "none": None},
        files={
            "page": FilePart(filename="page.html", content="<p>ü"),
            "photo": [
                FilePart(
                    filename='a"b.png', content=base64.b64encode(b"\x89PNG\0").decode(), encoding="base64"
                ),
                FilePart(filename="x", content={"a": 1}),
            ],
            "raw": FilePart(filename="x.bin", content="x", content_type="application/x-own"),
        },
    )
    parts = parts_of(sent)
    assert [part.get_param("name", header="content-disposition") for part in parts] == [
        "title",
        "tag",
        "tag",
        "page",
        "photo",
        "photo",
        "raw",
    ]
    assert [part.get_payload(decode=True) for part in parts] == [
        "Ü".encode(),
        b"a",
        b"b",
        "<p>ü".encode(),
        b"\x89PNG\0",
        b'{"a":1}',
        b"x",
    ]
    assert [part.get_content_type() for part in parts[3:]] == [
        "text/html",
        "image/png",
        "application/json",
        "application/x-own",
    ]
    assert b'filename="a%22b.png"' in (sent.content or b"")


def test_a_repeated_call_sends_the_same_bytes() -> None:
    """A service that compares the bodies of one idempotency key sees no difference."""
    made = [request_of({"a": 1}, files={"f": FilePart(filename="x", content="y")}) for _ in range(2)]
    assert made[0] == made[1]


def test_a_multipart_header_is_completed() -> None:
    """Its boundary is ours to choose; a text keeps the author's own."""
    multipart = {"Content-Type": "multipart/form-data"}
    sent = request_of({"a": 1}, multipart)
    assert content_type(sent).startswith("multipart/form-data; boundary=")
    assert [part.get_payload() for part in parts_of(sent)] == ["1"]
    own = {"Content-Type": "multipart/form-data; boundary=x"}
    assert request_of("--x--", own).content == b"--x--"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"files": {"f": FilePart(filename="x", content="!", encoding="base64")}}, "is no base64"),
        ({"files": {"f": FilePart(filename="x", content=1, encoding="base64")}}, "must be a base64 text"),
        ({"files": {"f": FilePart(filename="x", content="", content_type="a/b\r\nX: y")}}, "no media type"),
        ({"files": {"f": FilePart(filename="x", content="")}, "headers": FORM}, "leave the header"),
        ({"files": {"f": FilePart(filename="x", content="")}, "body": "text"}, "must be an object"),
        ({"files": {"f": FilePart(filename="x", content="")}, "body": {"a": {}}}, "is nested"),
        ({"files": {"f": FilePart(filename="\ud800", content="")}}, "not valid Unicode"),
        ({"body": {"a": "\ud800"}, "headers": FORM}, "not valid Unicode"),
    ],
)
def test_a_form_that_does_not_fit_is_refused(config: dict[str, Any], message: str) -> None:
    """With the part that is wrong."""
    assert message in refusal(**config)


def test_a_files_name_smuggles_no_header() -> None:
    """Quotes and line breaks are escaped as browsers escape them."""
    sent = request_of(files={'a"\r\nX: y': FilePart(filename="b\r\nX: y", content="c")})
    (part,) = parts_of(sent)
    assert "X" not in part
