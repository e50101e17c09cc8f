"""The shared clients in users' handlers: sync and async, with the same rules as the built-in ones."""

from __future__ import annotations

import time

import msgspec
import pytest

from flowengine.plugin import Context, Handler, HandlerError, HandlerTimeoutError, handler
from tests.support.rigs.handler_runs import Runs, described
from tests.support.servers.http_server import HttpServer, Reply, gzip_bomb, gzip_reply


class Fetch(msgspec.Struct):
    """What to fetch."""

    url: str


@handler("fetch")
def fetch(config: Fetch, context: Context) -> dict[str, str]:
    """Fetch an address in the worker's thread."""
    response = context.http().get(config.url, headers={"Idempotency-Key": context.idempotency_key})
    response.raise_for_status()
    return {"result": response.text}


@handler("fetch_async")
async def fetch_async(config: Fetch, context: Context) -> dict[str, str]:
    """Fetch an address on the event loop."""
    response = await context.async_http().get(config.url, timeout=None)
    response.raise_for_status()
    return {"result": response.text}


@pytest.fixture(params=[fetch, fetch_async], ids=["sync", "async"])
def either(request: pytest.FixtureRequest) -> Handler:
    """The sync and the async handler in turn."""
    return described(request.param)


def failure(runs: Runs, either: Handler, url: str, timeout_s: float = 5.0) -> HandlerError:
    """What fetching fails with."""
    with pytest.raises(HandlerError) as caught:
        runs.run_handler(either, {"url": url}, timeout_s=timeout_s)
    return caught.value


def test_a_users_handler_calls_through_the_shared_client(
    runs: Runs, server: HttpServer, either: Handler
) -> None:
    """Compressed answers included; the connection is kept for the next call."""
    server.answers("/x", gzip_reply(b"hello"))
    for _ in range(2):
        assert runs.run_handler(either, {"url": server.url("/x")}) == {"result": "hello"}
    assert server.called("/x")[0].headers["user-agent"].startswith("FlowEngine/")


def test_a_slow_server_ends_at_the_nodes_deadline(runs: Runs, server: HttpServer, either: Handler) -> None:
    """Although every byte arrives in time, and the client was told to wait for ever."""
    server.answers("/x", Reply(body=b"x" * 1000, drip_s=0.05))
    started = time.monotonic()
    assert isinstance(failure(runs, either, server.url("/x"), timeout_s=0.4), HandlerTimeoutError)
    assert time.monotonic() - started < 10


def test_httpx_errors_keep_their_kind(runs: Runs, server: HttpServer, either: Handler) -> None:
    """A user's handler need not translate them."""
    server.answers("/x", Reply(status=418))
    server.answers("/big", gzip_bomb(30))
    server.answers("/cut", Reply(cut=True))
    server.answers("/br", Reply(headers={"Content-Encoding": "br"}, body=b"x"))
    server.answers("/gone", Reply(status=410, headers={"Content-Encoding": "br"}, body=b"x"))
    assert failure(runs, either, server.url("/x")).code == "http_status"
    assert failure(runs, either, server.url("/big")).code == "response_too_large"
    assert failure(runs, either, server.url("/cut")).code == "connection_failed"
    assert failure(runs, either, server.url("/br")).code == "invalid_response"
    gone = failure(runs, either, server.url("/gone"))
    assert gone.code == "http_status"  # the status decides, not a body that nobody can decode
    assert "410" in gone.message
    assert failure(runs, either, "http://169.254.169.254/").code == "egress_refused"
    assert failure(runs, either, "http://no-such-host.invalid/").code == "connection_failed"


def test_query_strings_and_headers_do_not_reach_a_log(
    runs: Runs, server: HttpServer, either: Handler, caplog: pytest.LogCaptureFixture
) -> None:
    """httpx would log the whole address at INFO, httpcore the headers at DEBUG."""
    with caplog.at_level("DEBUG"):
        runs.run_handler(either, {"url": server.url("/x?token=secret")})
    assert "secret" not in caplog.text
