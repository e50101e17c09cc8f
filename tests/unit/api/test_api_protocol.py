"""HTTP as it comes from a connection: heads that are too large, several requests in one piece, upgrades."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from flowengine.api.edge.http_protocol import MAX_HEAD_BYTES
from tests.support.servers.served_api import ServedApi, served_api

HEAD = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
LAST = HEAD + b"Connection: close\r\n\r\n"
POST = b"POST /workflow HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def api() -> Iterator[ServedApi]:
    """One server for all tests."""
    with served_api() as api:
        yield api


@pytest.mark.parametrize(
    "head",
    [
        b"GARBAGE\r\n\r\n",
        b"\xff\xfe\r\n\r\n",
        b"GET /h\xc3\xa4 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
    ids=["no-http", "binary", "not-ascii"],
)
def test_what_the_parser_refuses_is_a_problem_document(api: ServedApi, head: bytes) -> None:
    """It was a line of plain text, unlike every other refusal."""
    answer = api.send_raw(head)
    start, _, body = answer.partition(b"\r\n\r\n")
    assert start.startswith(b"HTTP/1.1 400 ")
    assert b"Content-Type: application/problem+json" in start
    assert b'"code":"bad_request"' in body


@pytest.mark.parametrize(
    "head",
    [
        HEAD + b"X: " + b"a" * MAX_HEAD_BYTES + b"\r\n\r\n",
        b"GET /" + b"a" * MAX_HEAD_BYTES + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
    ids=["header", "target"],
)
def test_head_that_is_too_large_is_refused(api: ServedApi, head: bytes) -> None:
    """Also where it comes in one piece."""
    try:
        answer = api.send_raw(head)
    except OSError:
        return  # the connection was closed before all was read
    assert b"A request's head may have 65536 bytes" in answer


def test_head_that_never_ends_is_refused_once_it_is_too_large(api: ServedApi) -> None:
    """One header in many pieces: the parser would keep all of it until its end."""
    with socket.create_connection(("127.0.0.1", api.port), timeout=30) as connection:
        connection.sendall(HEAD + b"X: ")
        sent = 0
        try:
            while sent < 64 * MAX_HEAD_BYTES:
                sent += connection.send(b"a" * 4096)
        except OSError:
            pass  # it has closed the connection, and what it said may be lost with it
    assert sent < 64 * MAX_HEAD_BYTES


def test_large_head_within_the_bound_is_read(api: ServedApi) -> None:
    """Long cookies of a proxy's are no reason to refuse."""
    filler = b"X-A: " + b"a" * (MAX_HEAD_BYTES - 1000) + b"\r\n"
    assert api.send_raw(HEAD + filler + b"Connection: close\r\n\r\n").startswith(b"HTTP/1.1 200 ")


def test_requests_in_one_piece_are_answered_in_order(api: ServedApi) -> None:
    """A body, and the beginning of the next head behind it, arrive together."""
    body = b"x" * 2 * MAX_HEAD_BYTES
    answer = api.send_raw(POST + b"Content-Length: %d\r\n\r\n" % len(body) + body + LAST)
    assert answer.index(b"HTTP/1.1 400 ") < answer.index(b"HTTP/1.1 200 ")


def test_upgrade_is_answered_as_if_it_had_not_been_asked_for(api: ServedApi) -> None:
    """The connection ends: what follows is in a protocol that nobody here speaks."""
    asked = HEAD + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    assert api.send_raw(asked).startswith(b"HTTP/1.1 200 ")
