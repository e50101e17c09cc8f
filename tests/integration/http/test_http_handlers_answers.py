"""What an answer becomes: its status first, then its body, its cookies and its warnings."""

from __future__ import annotations

import base64
import sys
import time

import brotli
import pytest

from flowengine.jsonvalue import JsonValue
from flowengine.plugin import HandlerError
from tests.support.rigs.handler_runs import Runs
from tests.support.servers.http_server import HttpServer, Reply, gzip_bomb, json_reply
from tests.support.servers.raw_answers import answering

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PNG = b"\x89PNG\r\n\x1a\n\x00"


def called(runs: Runs, server: HttpServer, *replies: Reply, **config: JsonValue) -> dict[str, JsonValue]:
    """The output of a call that is answered so."""
    server.answers("/x", *replies)
    return runs.run("http_request", {"url": server.url("/x"), **config})


def failed(runs: Runs, server: HttpServer, *replies: Reply, **config: JsonValue) -> HandlerError:
    """What such a call fails with."""
    with pytest.raises(HandlerError) as caught:
        called(runs, server, *replies, **config)
    return caught.value


UNREADABLE = {
    "brotli that is none": Reply(status=503, headers={"Content-Encoding": "br"}, body=b"not brotli"),
    "an unknown coding": Reply(status=503, headers={"Content-Encoding": "x-own"}, body=b"x"),
    "stacked codings": Reply(status=503, headers={"Content-Encoding": "gzip, gzip"}, body=b"x"),
    "gzip that is cut": Reply(status=503, headers={"Content-Encoding": "gzip"}, body=b"\x1f\x8b"),
    "a bomb": Reply(status=503, headers=gzip_bomb(1).headers, body=gzip_bomb(30).body),
    "more than ten megabytes": Reply(status=503, body=bytes(11_000_000)),
    "a body that breaks off": Reply(status=503, body=b"half", announced=99),
    "JSON that is none": Reply(status=503, headers={"Content-Type": "application/json"}, body=b"{"),
}


@pytest.mark.proves("error-body-unreadable")
@pytest.mark.parametrize("case", UNREADABLE)
def test_the_status_decides_before_the_body(runs: Runs, server: HttpServer, case: str) -> None:
    """A 503 is retried whatever its body is, and the answer after it counts."""
    output = called(runs, server, UNREADABLE[case], json_reply({"ok": True}))
    assert output["data"] == {"ok": True}
    assert server.count("/x") == 2


@pytest.mark.parametrize("case", UNREADABLE)
def test_the_status_is_shown_whatever_the_body_is(runs: Runs, server: HttpServer, case: str) -> None:
    """Three times 503 is what the node fails with."""
    found = failed(runs, server, UNREADABLE[case])
    assert found.code == "http_server_error"
    assert "answered 503 Service Unavailable" in found.message
    assert [error.code for error in found.errors] == ["http_server_error"] * 3


def test_an_error_without_a_readable_body_says_why_none_is_shown(runs: Runs, server: HttpServer) -> None:
    """Beside the status."""
    found = failed(runs, server, UNREADABLE["an unknown coding"])
    assert "Content-Encoding 'x-own' is not supported" in found.errors[0].message


def test_the_body_of_an_error_is_not_waited_for_long(runs: Runs, server: HttpServer) -> None:
    """A service in trouble may never send it."""
    started = time.monotonic()
    output = called(runs, server, Reply(status=503, body=b"x" * 99, drip_s=1.0), json_reply({}))
    assert output["status_code"] == 200
    assert time.monotonic() - started < 9


@pytest.mark.parametrize("status", [204, 200, 304])
def test_an_answer_without_a_body_has_nothing_to_decode(runs: Runs, server: HttpServer, status: int) -> None:
    """Whatever coding its header names."""
    output = called(runs, server, Reply(status=status, headers={"Content-Encoding": "br"}))
    assert (output["status_code"], output["data"]) == (status, "")
    headers = {"Content-Encoding": "x-own", "Content-Type": "application/json"}
    assert called(runs, server, Reply(headers=headers), method="HEAD")["data"] is None


@pytest.mark.parametrize("coding", ["UTF-8", "none", "aws-chunked", "identity", "iso-8859-1", "null"])
def test_what_names_no_coding_is_none(runs: Runs, server: HttpServer, coding: str) -> None:
    """The body is taken as it is."""
    reply = Reply(headers={"Content-Encoding": coding, "Content-Type": "text/plain"}, body=b"hello")
    assert called(runs, server, reply)["data"] == "hello"


@pytest.mark.parametrize(("coding", "pack"), [("br", brotli.compress), ("zstd", zstd.compress)])
def test_the_newer_codings_are_asked_for_and_decoded(
    runs: Runs, server: HttpServer, coding: str, pack: type[bytes]
) -> None:
    """And the headers that described the coded body are gone."""
    reply = Reply(headers={"Content-Encoding": coding, "Content-Type": "text/plain"}, body=pack(b"hello"))
    output = called(runs, server, reply)
    assert output["data"] == "hello"
    assert coding in server.called("/x")[0].headers["accept-encoding"]
    assert isinstance(output["headers"], dict)
    assert not {"content-encoding", "content-length"} & set(output["headers"])


def test_a_success_that_cannot_be_decoded_fails(runs: Runs, server: HttpServer) -> None:
    """Its body is needed; asking again would give the same."""
    reply = Reply(headers={"Content-Encoding": "x-own"}, body=b"x")
    assert failed(runs, server, reply).code == "invalid_response"
    assert server.count("/x") == 1


@pytest.mark.parametrize("body", [b"OK", b"<!doctype html><title>Bad gateway</title>", b"{"])
def test_a_body_that_only_claims_to_be_json_is_text(runs: Runs, server: HttpServer, body: bytes) -> None:
    """README: parsed JSON, else text. The output says which."""
    reply = Reply(headers={"Content-Type": "application/json"}, body=body)
    output = called(runs, server, reply)
    assert (output["data"], output["json"]) == (body.decode(), False)


def test_json_that_is_json_needs_no_remark(runs: Runs, server: HttpServer) -> None:
    """The output has its three fields and no more."""
    assert set(called(runs, server, json_reply({}))) == {"status_code", "headers", "data"}


@pytest.mark.parametrize(
    ("reply", "shown"),
    [
        (Reply(headers={"Content-Type": "application/json"}, body=b"<html>down"), "<html>down"),
        (Reply(headers={"Content-Type": "text/html"}, body=b"<html>down"), "<html>down"),
        (Reply(body=b"plain"), "plain"),
        (Reply(headers={"Content-Type": "application/json"}), "it is empty"),
        (Reply(), "it is empty"),
    ],
)
def test_require_json_fails_and_shows_the_beginning(
    runs: Runs, server: HttpServer, reply: Reply, shown: str
) -> None:
    """For a workflow that reads fields of the answer, an HTML page is a failure of the service."""
    found = failed(runs, server, reply, require_json=True)
    assert found.code == "invalid_response"
    assert shown in found.message
    assert f"GET {server.url('/x')}: answered 200 OK" in found.message


def test_require_json_takes_any_json_value(runs: Runs, server: HttpServer) -> None:
    """Whatever its header says; and nothing where there cannot be anything."""
    assert called(runs, server, Reply(body=b"42"), require_json=True)["data"] == 42
    assert called(runs, server, Reply(status=204), require_json=True)["data"] is None


def test_what_was_replaced_is_said(runs: Runs, server: HttpServer) -> None:
    """NaN is no JSON, but the rest of the document is."""
    reply = Reply(headers={"Content-Type": "application/json"}, body=b'{"a": NaN, "b": 1}')
    output = called(runs, server, reply)
    assert output["data"] == {"a": None, "b": 1}
    assert "NaN" in str(output["warnings"])


@pytest.mark.proves("response-bytes")
def test_bytes_are_base64_in_the_data_and_in_the_result(runs: Runs, server: HttpServer) -> None:
    """An image comes through whole. `X.result` is `data`."""
    output = called(runs, server, Reply(headers={"Content-Type": "image/png"}, body=PNG))
    assert isinstance(output["data"], str)
    assert base64.b64decode(output["data"]) == PNG
    assert (output["encoding"], output["content_type"], output["json"]) == ("base64", "image/png", False)


def test_what_was_fetched_as_bytes_can_be_sent_as_a_file(runs: Runs, server: HttpServer) -> None:
    """`encoding` of the answer is `encoding` of the file."""
    fetched = called(runs, server, Reply(headers={"Content-Type": "image/png"}, body=PNG))
    file: JsonValue = {"filename": "a.png", "content": fetched["data"], "encoding": fetched["encoding"]}
    runs.run("http_request", {"url": server.url("/up"), "method": "POST", "files": {"file": file}})
    (arrived,) = server.called("/up")
    assert PNG in arrived.body
    assert arrived.headers["content-type"].startswith("multipart/form-data; boundary=")


def test_a_form_arrives_as_a_form(runs: Runs, server: HttpServer) -> None:
    """Not as JSON under a form's header."""
    headers: JsonValue = {"Content-Type": "application/x-www-form-urlencoded"}
    called(runs, server, json_reply({}), method="POST", headers=headers, body={"a": 1, "b": ["x", "y"]})
    assert server.called("/x")[0].body == b"a=1&b=x&b=y"


def test_cookies_are_a_list(runs: Runs) -> None:
    """A cookie holds commas itself, so several cannot be joined as other headers are."""
    cookies = ["a=1; Expires=Wed, 01 Jan 2031 00:00:00 GMT", "b=2; Path=/"]
    lines = "".join(f"Set-Cookie: {cookie}\r\n" for cookie in cookies)
    head = f"HTTP/1.1 200 OK\r\n{lines}Link: <a>\r\nLink: <b>\r\nContent-Length: 0\r\n\r\n"
    with answering(head.encode()) as url:
        output = runs.run("http_request", {"url": url})
    assert output["cookies"] == cookies
    assert isinstance(output["headers"], dict)
    assert "set-cookie" not in output["headers"]
    assert output["headers"]["link"] == "<a>, <b>"


@pytest.mark.parametrize("status", [404, 409, 429, 503])
def test_an_accepted_status_is_an_answer(runs: Runs, server: HttpServer, status: int) -> None:
    """It is neither an error nor retried, and all of its body is there."""
    body = {"missing": "x" * 100_000}
    output = called(runs, server, json_reply(body, status=status), accept_status=[200, status])
    assert (output["status_code"], output["data"]) == (status, body)
    assert server.count("/x") == 1


def test_other_statuses_stay_what_they_are(runs: Runs, server: HttpServer) -> None:
    """Errors fail, and everything below 400 is an answer."""
    assert failed(runs, server, Reply(status=403), accept_status=[404]).code == "http_client_error"
    assert called(runs, server, Reply(status=201), accept_status=[404])["status_code"] == 201


def test_an_accepted_status_needs_a_body_that_can_be_read(runs: Runs, server: HttpServer) -> None:
    """Like any other answer."""
    reply = Reply(status=404, headers={"Content-Encoding": "x-own"}, body=b"x")
    assert failed(runs, server, reply, accept_status=[404]).code == "invalid_response"


def test_an_accepted_redirect_is_an_answer(runs: Runs, server: HttpServer) -> None:
    """It is not followed: its Location is what the workflow wants."""
    reply = Reply(status=302, headers={"Location": "/elsewhere"})
    output = called(runs, server, reply, accept_status=[302])
    assert isinstance(output["headers"], dict)
    assert (output["status_code"], output["headers"]["location"]) == (302, "/elsewhere")
    assert server.count("/elsewhere") == 0
