"""Callers who keep a connection waiting: each is given up in time, and none keeps others out."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from flowengine.api.edge.connections import Connections, connection_limit
from tests.support.servers.served_api import ServedApi, read_answer, served_api
from tests.support.waiting import wait_until

HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
HALF = b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-A: "
POST = b"POST /workflow HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
REFUSED = POST + b"text/html\r\nContent-Length: 1000\r\n\r\n"
HALF_BODY = POST + b"application/json\r\nContent-Length: 2\r\n\r\n{"


Serve = Callable[[Connections], ServedApi]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Starts an API over these connections, which looks at them twenty times a second."""
    monkeypatch.setattr("flowengine.api.server._TICK_S", 0.05)
    with contextlib.ExitStack() as stack:
        yield lambda connections: stack.enter_context(served_api(connections=connections))


@contextlib.contextmanager
def connected(api: ServedApi, data: bytes = b"") -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", api.port), timeout=10) as connection:
        connection.sendall(data)
        yield connection


def is_closed(connection: socket.socket) -> bool:
    """Whether the server has closed it; reads what it has sent before."""
    connection.settimeout(0.001)
    try:
        while connection.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


def drip(connection: socket.socket) -> bool:
    """Send one more byte; whether the server has closed the connection."""
    with contextlib.suppress(OSError):
        connection.sendall(b"a")
    return is_closed(connection)


@pytest.mark.proves("idle-connections")
@pytest.mark.parametrize(
    "begun", [b"", b"G", HALF, HEALTH + b"GET /hea"], ids=["none", "byte", "half", "second"]
)
def test_a_head_that_does_not_come_is_given_up(serve: Serve, begun: bytes) -> None:
    """However it was begun, and although a byte comes now and then."""
    api = serve(Connections(head_s=0.3))
    with connected(api, begun) as connection:
        wait_until(lambda: drip(connection) if begun else is_closed(connection), within_s=10)


def test_the_rest_of_a_refused_body_is_not_waited_for_for_ever(serve: Serve) -> None:
    """Once the answer is sent, bytes of the body keep the connection open no longer than a head would."""
    api = serve(Connections(head_s=0.3))
    with connected(api, REFUSED) as connection:
        assert read_answer(connection).startswith(b"HTTP/1.1 415 ")
        wait_until(lambda: drip(connection), within_s=10)


def test_between_two_requests_a_connection_may_rest(serve: Serve) -> None:
    """The time for a head runs from its first byte, not from the last answer."""
    api = serve(Connections(head_s=0.2))
    with connected(api, HEALTH) as connection:
        for _ in range(3):
            assert read_answer(connection).startswith(b"HTTP/1.1 200 ")
            threading.Event().wait(0.4)  # longer than a head may take
            connection.sendall(HEALTH)


def test_a_body_has_a_time_of_its_own(serve: Serve) -> None:
    """What limits the head does not cut off a body that is slow."""
    api = serve(Connections(head_s=0.2))
    with connected(api, HALF_BODY) as connection:
        threading.Event().wait(0.6)  # longer than a head may take
        connection.sendall(b"}")
        assert read_answer(connection).startswith(b"HTTP/1.1 422 ")


@pytest.mark.proves("idle-connections")
@pytest.mark.parametrize("begun", [b"", HALF, HALF_BODY], ids=["none", "head", "body"])
def test_above_the_limit_the_one_that_waited_longest_goes(serve: Serve, begun: bytes) -> None:
    """A caller with a whole request is answered at once, however many wait with half a one."""
    connections = Connections(20)
    api = serve(connections)
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(connected(api, begun)) for _ in range(60)]
        wait_until(lambda: sum(is_closed(found) for found in opened) >= 40)
        assert not is_closed(opened[-1])
        for _ in range(3):
            with connected(api, HEALTH) as asking:
                assert read_answer(asking).startswith(b"HTTP/1.1 200 ")
        assert len(connections) <= 20


def test_a_request_that_is_worked_on_is_not_dropped_for_a_newcomer(serve: Serve) -> None:
    """Where all are busy the newest is refused at once; those that run get their answer."""
    connections = Connections(2)
    api = serve(connections)
    may_go_on = threading.Event()
    inside = threading.Semaphore(0)

    def work() -> None:
        inside.release()
        may_go_on.wait(30)

    api.store.before = work
    try:
        with connected(api, HEALTH) as first, connected(api, HEALTH) as second:
            assert inside.acquire(timeout=15)
            assert inside.acquire(timeout=15)
            with connected(api, b"") as third:
                wait_until(lambda: is_closed(third))
            may_go_on.set()
            assert read_answer(first).startswith(b"HTTP/1.1 200 ")
            assert read_answer(second).startswith(b"HTTP/1.1 200 ")
    finally:
        may_go_on.set()


@pytest.mark.parametrize(
    ("files", "expected"), [(-1, 1000), (1_000_000, 1000), (1024, 896), (256, 128), (64, 32)]
)
def test_the_limit_leaves_files_for_the_rest(
    monkeypatch: pytest.MonkeyPatch, files: int, expected: int
) -> None:
    """Half of few files, all but a reserve of more, a thousand of many."""
    monkeypatch.setattr("resource.getrlimit", lambda _: (files, files))
    assert connection_limit() == expected
