"""Large answers, and callers who do not read them: what is held is bounded, and not for ever."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import msgspec
import pytest

from flowengine.api.edge.connections import Connections
from flowengine.settings import Limits, Settings
from tests.support.servers.served_api import ServedApi, read_answer, served_api
from tests.support.waiting import wait_until

MEGABYTE = 1024 * 1024
ANSWER = 6 * MEGABYTE
DOCUMENT = {"name": "x", "nodes": [{"id": "a", "handler": "echo", "config": {}}]}
SMALL_RESULTS = Settings(limits=Limits(max_execution_result_bytes=8 * MEGABYTE))


@pytest.fixture(autouse=True)
def _limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowengine.api.server._TICK_S", 0.05)
    monkeypatch.setattr("flowengine.api.edge.responses.BUDGET_BYTES", 0)


def execution_with(api: ServedApi, size: int) -> str:
    """The id of an execution whose results take about so many bytes."""
    created = api.client.post("/workflow", json=DOCUMENT).json()["execution_id"]
    api.store.finish(created, {"a": msgspec.Raw(b'"' + b"x" * size + b'"')})
    return str(created)


@contextlib.contextmanager
def asking(api: ServedApi, target: str) -> Iterator[socket.socket]:
    """A caller whose answer has begun, who takes little at a time, and has not begun to read."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        connection.settimeout(10)
        connection.connect(("127.0.0.1", api.port))
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert connection.recv(12, socket.MSG_PEEK) == b"HTTP/1.1 200"
        yield connection


@pytest.mark.proves("unread-results")
def test_large_answers_that_nobody_reads_share_a_budget() -> None:
    """Those that do not fit beside the others are told to come again; small ones are answered."""
    with served_api(SMALL_RESULTS) as api, contextlib.ExitStack() as stack:
        large = f"/workflows/{execution_with(api, ANSWER)}/results"
        small = f"/workflows/{execution_with(api, 1000)}/results"
        held = [stack.enter_context(asking(api, large)) for _ in range(2)]
        refused = api.client.get(large)
        assert refused.status_code == 503
        assert refused.json()["code"] == "too_busy"
        assert refused.headers["retry-after"] == "1"
        assert api.client.get(small).status_code == 200
        assert api.client.head(large).status_code == 200
        assert len(read_answer(held[0])) > ANSWER
        wait_until(lambda: api.client.get(large).status_code == 200)


@pytest.mark.proves("unread-results")
def test_an_answer_that_nobody_takes_is_given_up() -> None:
    """The connection is closed before it has all of it, and what it held is free."""
    connections = Connections(stalled_s=60.0)
    with served_api(SMALL_RESULTS, connections=connections) as api:
        target = f"/workflows/{execution_with(api, ANSWER)}/results"
        with asking(api, target) as first, asking(api, target):
            assert api.client.get(target).status_code == 503
            connections._stalled_s = 0.2
            wait_until(lambda: api.client.get(target).status_code == 200)
            with pytest.raises((AssertionError, ConnectionError), match=r"closed|reset"):
                read_answer(first)


def test_a_slow_reader_gets_all_of_it() -> None:
    """Who takes a little now and then is not cut off, however long it takes in all."""
    stalled_s = 5.0
    with served_api(SMALL_RESULTS, connections=Connections(stalled_s=stalled_s)) as api:
        target = f"/workflows/{execution_with(api, ANSWER)}/results"
        with asking(api, target) as connection:
            received, since = 0, time.monotonic()
            while received < ANSWER:
                found = len(connection.recv(32768))
                assert found
                received += found
                threading.Event().wait(0.03)
            assert time.monotonic() - since > stalled_s


def test_a_large_answer_arrives_whole() -> None:
    """In pieces or not, it is the same bytes, and the connection can be used again."""
    with served_api(SMALL_RESULTS) as api:
        for size in (0, 1, 256 * 1024, ANSWER):
            answer = api.client.get(f"/workflows/{execution_with(api, size)}/results")
            assert answer.json()["results"] == {"a": "x" * size}
