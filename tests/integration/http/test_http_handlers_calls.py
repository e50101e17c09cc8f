"""The HTTP handlers against a real server: requests, answers, redirects, bodies."""

from __future__ import annotations

import gc
import inspect

import httpx
import pytest

from flowengine.jsonvalue import JsonValue
from flowengine.plugin import HandlerError
from flowengine.template import Scope, render
from tests.support.rigs.handler_runs import Runs
from tests.support.servers.http_server import HttpServer, Reply, gzip_bomb, gzip_reply, json_reply, serving
from tests.support.waiting import wait_until


def failure(runs: Runs, config: dict[str, JsonValue], name: str = "http_request") -> HandlerError:
    """What a call fails with."""
    with pytest.raises(HandlerError) as caught:
        runs.run(name, config)
    return caught.value


@pytest.mark.parametrize("name", ["http_request", "call_external_service"])
def test_a_call_sends_what_the_config_says_and_returns_the_answer(
    runs: Runs, server: HttpServer, name: str
) -> None:
    """Method, query, headers and body arrive; status, headers and data come back."""
    output = runs.run(
        name,
        {
            "url": server.url("/users?a=1"),
            "method": "put",
            "headers": {"X-Count": 3, "X-Flag": True},
            "params": {"b": "ü"},
            "body": {"name": "Ada"},
        },
    )
    (call,) = server.called("/users")
    assert (call.method, call.query, call.json()) == ("PUT", {"a": "1", "b": "ü"}, {"name": "Ada"})
    assert (call.headers["x-count"], call.headers["x-flag"]) == ("3", "true")
    assert output["status_code"] == 200
    assert isinstance(output["headers"], dict)
    assert output["headers"]["content-type"] == "application/json"
    assert isinstance(output["data"], dict)
    assert output["data"]["path"] == "/users"


def test_correlation_id_and_idempotency_key_are_sent(runs: Runs, server: HttpServer) -> None:
    """The called service can join its logs to ours, and avoids doing things twice."""
    runs.run("http_request", {"url": server.url("/x")})
    headers = server.called("/x")[0].headers
    assert headers["x-correlation-id"] == "correlation-1"
    assert headers["idempotency-key"] == "x1/call/1"
    assert headers["user-agent"].startswith("FlowEngine/")


def test_headers_that_the_user_set_win(runs: Runs, server: HttpServer) -> None:
    """Whatever their case."""
    runs.run("http_request", {"url": server.url("/x"), "headers": {"idempotency-KEY": "mine"}})
    assert server.called("/x")[0].headers["idempotency-key"] == "mine"


def test_headers_that_are_null_are_left_out(runs: Runs, server: HttpServer) -> None:
    """Some services refuse what is added; a null among the others is as if it were not there."""
    headers: dict[str, JsonValue] = {
        "idempotency-KEY": None,
        "X-Correlation-ID": None,
        "Content-Type": None,
        "X-Mine": None,
        "X-A": "1",
    }
    runs.run(
        "http_request", {"url": server.url("/x"), "method": "POST", "headers": headers, "body": {"a": 1}}
    )
    sent = server.called("/x")[0].headers
    assert sent["x-a"] == "1"
    assert not {"idempotency-key", "x-correlation-id", "content-type", "x-mine"} & sent.keys()


def test_params_and_headers_whose_templates_give_null_are_left_out(runs: Runs, server: HttpServer) -> None:
    """So one config serves with and without a filter; a list of what there is repeats its name."""
    config: JsonValue = {
        "url": server.url("/x"),
        "params": {
            "since": "{{ a.since | default(none) }}",
            "id": ["{{ a.ids[0] }}", "{{ a.ids[1] }}", "{{ a.missing | default(none) }}"],
            "tag": "{{ a.tags }}",
        },
        "headers": {"X-A": "{{ a.missing | default(none) }}", "X-B": "{{ a.ids[0] }}"},
    }
    outputs: dict[str, JsonValue] = {"a": {"ids": [7, 8], "tags": ["p", "q"]}}
    scope = Scope(outputs=outputs, primaries={"a": None}, secrets=str)
    rendered = render(config, scope, max_chars=10_000)
    assert isinstance(rendered, dict)
    runs.run("http_request", rendered)
    (call,) = server.called("/x")
    assert call.query_text == "id=7&id=8&tag=p&tag=q"
    assert call.headers["x-b"] == "7"
    assert "x-a" not in call.headers


def test_a_text_answer_stays_text(runs: Runs, server: HttpServer) -> None:
    """The text "42" is not a number."""
    server.answers("/n", Reply(headers={"Content-Type": "text/plain"}, body=b"42"))
    assert runs.run("http_request", {"url": server.url("/n")})["data"] == "42"


def test_head_and_empty_answers_have_null_data(runs: Runs, server: HttpServer) -> None:
    """An answer without a body is not a broken one."""
    server.answers("/x", json_reply({"a": 1}))
    assert runs.run("http_request", {"url": server.url("/x"), "method": "HEAD"})["data"] is None


def test_cookies_of_one_call_are_not_sent_with_another(runs: Runs, server: HttpServer) -> None:
    """The client is shared by all nodes; a session is not."""
    server.answers("/login", Reply(headers={"Set-Cookie": "session=1; Path=/"}))
    runs.run("http_request", {"url": server.url("/login")})
    runs.run("http_request", {"url": server.url("/next")})
    assert "cookie" not in server.called("/next")[0].headers


def test_proxy_variables_are_not_heeded(
    runs: Runs, server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy would connect for us, past the egress rules."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert runs.run("http_request", {"url": server.url("/x")})["status_code"] == 200


def test_credentials_in_the_address_are_sent_and_never_shown(runs: Runs, server: HttpServer) -> None:
    """`http://user:password@host` is basic authentication; errors leave it out."""
    server.answers("/x", Reply(status=403))
    url = server.url("/x?token=abc").replace("http://", "http://me:pass-word@")
    found = failure(runs, {"url": url})
    assert server.called("/x")[0].headers["authorization"].startswith("Basic ")
    shown = found.message + str(found.errors) + str(runs.log.events)
    assert "pass-word" not in shown
    assert "token" not in shown


def test_redirects_are_followed(runs: Runs, server: HttpServer) -> None:
    """A POST becomes a GET after 303 and stays one with its body after 307."""
    server.answers("/a", Reply(status=303, headers={"Location": "/b"}))
    server.answers("/c", Reply(status=307, headers={"Location": server.url("/d")}))
    runs.run("http_request", {"url": server.url("/a"), "method": "POST", "body": "x"})
    runs.run("http_request", {"url": server.url("/c"), "method": "POST", "body": "x"})
    assert [(call.method, call.body) for call in server.called("/b")] == [("GET", b"")]
    assert [(call.method, call.body) for call in server.called("/d")] == [("POST", b"x")]


def test_credentials_are_dropped_on_a_redirect_to_another_origin(runs: Runs, server: HttpServer) -> None:
    """Authorization, cookies and every custom header stay behind; harmless ones go along."""
    secrets = {"Authorization": "Bearer s", "Cookie": "a=b", "X-Api-Key": "s", "X-Custom": "s"}
    with serving() as elsewhere:
        server.answers("/a", Reply(status=302, headers={"Location": elsewhere.url("/b")}))
        runs.run("http_request", {"url": server.url("/a"), "headers": {**secrets, "Accept": "text/plain"}})
        (arrived,) = elsewhere.called("/b")
    assert server.called("/a")[0].headers["x-api-key"] == "s"
    assert not {name.lower() for name in secrets} & set(arrived.headers)
    assert arrived.headers["accept"] == "text/plain"
    assert arrived.headers["x-correlation-id"] == "correlation-1"
    assert arrived.headers["host"] == f"127.0.0.1:{elsewhere.port}"


@pytest.mark.proves("redirect-with-body")
@pytest.mark.parametrize("status", [307, 308])
def test_a_body_is_not_sent_on_to_another_origin(runs: Runs, server: HttpServer, status: int) -> None:
    """The other service is not called at all; one that takes the answer of a GET (303) is."""
    with serving() as elsewhere:
        server.answers("/a", Reply(status=status, headers={"Location": elsewhere.url("/b")}))
        server.answers("/c", Reply(status=303, headers={"Location": elsewhere.url("/d")}))
        found = failure(runs, {"url": server.url("/a"), "method": "POST", "body": "pw=s"})
        runs.run("http_request", {"url": server.url("/c"), "method": "POST", "body": "pw=s"})
        assert [(call.path, call.body) for call in elsewhere.calls] == [("/d", b"")]
    assert found.code == "redirect_refused"
    assert elsewhere.url("/b") in found.message
    assert len(found.errors) == 1


def test_credentials_stay_on_a_redirect_within_one_origin(runs: Runs, server: HttpServer) -> None:
    """The same service is still being called."""
    server.answers("/a", Reply(status=302, headers={"Location": "/b"}))
    runs.run("http_request", {"url": server.url("/a"), "headers": {"X-Api-Key": "s"}})
    assert server.called("/b")[0].headers["x-api-key"] == "s"


def test_a_circle_of_redirects_ends(runs: Runs, server: HttpServer) -> None:
    """Five are followed."""
    server.answers("/a", Reply(status=302, headers={"Location": "/a"}))
    assert failure(runs, {"url": server.url("/a")}).code == "too_many_redirects"
    assert server.count("/a") == 6


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1:1/_x"])
def test_a_redirect_to_another_protocol_is_refused(runs: Runs, server: HttpServer, location: str) -> None:
    """Only http and https are ever spoken."""
    server.answers("/a", Reply(status=302, headers={"Location": location}))
    assert failure(runs, {"url": server.url("/a")}).code == "redirect_refused"


@pytest.mark.parametrize("location", ["mailto:me@a.test", "http://a.test:99999/", "http://[::1", "urn:a:b"])
def test_a_redirect_to_what_is_no_address_is_refused(runs: Runs, server: HttpServer, location: str) -> None:
    """It is not the node's own address that is wrong, and no other try is worth it."""
    server.answers("/a", Reply(status=302, headers={"Location": location}))
    found = failure(runs, {"url": server.url("/a")})
    assert (found.code, server.count("/a")) == ("redirect_refused", 1)


def test_a_compressed_answer_is_decoded(runs: Runs, server: HttpServer) -> None:
    """And the headers that described the compressed form are gone."""
    server.answers("/z", gzip_reply(b"hello"))
    output = runs.run("http_request", {"url": server.url("/z")})
    assert output["data"] == "hello"
    assert isinstance(output["headers"], dict)
    assert not {"content-encoding", "content-length"} & set(output["headers"])


@pytest.mark.parametrize("reply", [gzip_bomb(50), Reply(body=bytes(10 * 1024 * 1024 + 1))])
def test_a_body_beyond_ten_megabytes_fails_the_node(runs: Runs, server: HttpServer, reply: Reply) -> None:
    """Counted after decompression, and not asked for again."""
    server.answers("/big", reply)
    found = failure(runs, {"url": server.url("/big")})
    assert found.code == "response_too_large"
    assert "larger than 10485760 bytes" in found.message
    assert server.count("/big") == 1


def test_a_call_that_is_over_leaves_nothing_behind(runs: Runs, server: HttpServer) -> None:
    """What it has had is freed at once, not when Python next looks for rings: a result may be a megabyte."""
    runs.run("http_request", {"url": server.url("/x")})
    gc.collect()
    before = _left_of_calls()
    gc.disable()
    try:
        runs.run("http_request", {"url": server.url("/x")})
        wait_until(lambda: _left_of_calls() <= before, what="an end of all that belongs to it")
    finally:
        gc.enable()


def _left_of_calls() -> set[int]:
    return {
        id(found)
        for found in gc.get_objects()
        if isinstance(found, httpx.Response)
        or (inspect.iscoroutine(found) and found.__name__ in ("http_request", "_awaited"))
    }
