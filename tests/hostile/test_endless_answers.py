"""Responses that never end: each fails its node long before the node's deadline."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator

import msgspec
import pytest

from flowengine.plugin import Context, HandlerError, handler
from flowengine.plugin.registry import marked
from tests.support.rigs.handler_runs import Runs, running
from tests.support.servers.raw_answers import answering

GZIP = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

ANSWERS: dict[str, tuple[bytes, bytes, str]] = {
    "interim answers": (b"", b"HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n" * 100, "connection_failed"),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"A: b\r\n" * 100, "connection_failed"),
    "padding after gzip": (GZIP + gzip.compress(b"x"), bytes(65536), "response_too_large"),
    "empty gzip members": (GZIP, gzip.compress(b"") * 3000, "response_too_large"),
    "tiny chunks": (CHUNKED, b"2\r\nab\r\n" * 8192, "response_too_large"),
    "body": (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536, "response_too_large"),
}


class Fetch(msgspec.Struct):
    """What to fetch."""

    url: str


@handler("fetch_async")
async def fetch_async(config: Fetch, context: Context) -> dict[str, str]:
    """As a user's handler would."""
    return {"result": (await context.async_http().get(config.url, timeout=None)).text}


@pytest.fixture
def runs() -> Iterator[Runs]:
    """Handlers that may call a server of the test."""
    with running() as made:
        yield made


@pytest.mark.proves("response-endless")
@pytest.mark.parametrize("case", ANSWERS)
def test_an_endless_answer_ends_in_an_error(runs: Runs, case: str) -> None:
    """Its decoded size is bounded, and so are its bytes, its pieces and what comes before it."""
    first, again, code = ANSWERS[case]
    started = time.thread_time()
    with answering(first, again=again) as url, pytest.raises(HandlerError) as caught:
        runs.run("http_request", {"url": url}, timeout_s=60)
    assert caught.value.code == code
    assert time.thread_time() - started < 10


@pytest.mark.proves("response-endless")
@pytest.mark.parametrize("case", ANSWERS)
def test_an_endless_answer_to_an_async_handler_ends_too(runs: Runs, case: str) -> None:
    """The shared client of async handlers has the same bounds."""
    first, again, code = ANSWERS[case]
    fetch = marked(fetch_async)
    assert fetch is not None
    with answering(first, again=again) as url, pytest.raises(HandlerError) as caught:
        runs.run_handler(fetch, {"url": url}, timeout_s=60)
    assert caught.value.code == code


def test_interim_answers_before_the_real_one_are_passed_over(runs: Runs) -> None:
    """RFC 9110 allows a few of them. Their bytes do not count as bytes of the body."""
    head = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 20 + b"HTTP/1.1 200 OK\r\n\r\n"
    with answering(head, again=b"x" * 1000, times=900) as url:
        assert runs.run("http_request", {"url": url})["data"] == "x" * 900_000
