"""The server process: stops in time with open connections, tells what is wrong with an address."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from flowengine.api.app import create_app
from flowengine.api.server import Server, serve
from flowengine.errors import CannotRunError, SettingsError
from flowengine.settings import Settings
from tests.support.fake_access import FakeAccess
from tests.support.fake_executions import FakeExecutions
from tests.support.servers.served_api import catalog

PROGRAM = """
import sys, time, structlog
from flowengine.observability import configure_logs
configure_logs("api", log_format="json")
from flowengine.api.app import create_app
from flowengine.api import server
from flowengine.settings import Settings
from tests.support.fake_access import FakeAccess
from tests.support.fake_executions import FakeExecutions
from tests.support.servers.served_api import catalog
server._STOP_S = 60
store = FakeExecutions()
def work():
    structlog.get_logger().info("store.asked")
    time.sleep(float(sys.argv[1]))
store.before = work
settings = Settings(api_timeout_s=30)
server.serve(create_app(store, catalog(), settings, FakeAccess()), settings, port=0)
"""


@contextmanager
def process(*, each_call_s: float, files: int | None = None) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """An API process whose store takes `each_call_s` for each call, and its port.

    `files`: how many it may open.
    """
    limited = ["sh", "-c", f'ulimit -n {files} && exec "$@"', "sh"] if files is not None else []
    running = subprocess.Popen(
        [*limited, sys.executable, "-c", PROGRAM, str(each_call_s)], stderr=subprocess.PIPE, text=True
    )
    assert running.stderr is not None
    try:
        started = json.loads(running.stderr.readline())
        assert started["event"] == "api.started"
        yield running, started["port"]
    finally:
        running.kill()
        running.wait()
        running.stderr.close()


def ask(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return connection


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_once_with_an_idle_connection_open(number: signal.Signals) -> None:
    """Exit code 0 soon after the signal; keep-alive connections do not hold it, the logs say so."""
    with process(each_call_s=0) as (running, port), ask(port) as connection:
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
        running.send_signal(number)
        started = time.monotonic()
        assert running.wait(60) == 0
        assert time.monotonic() - started < 30  # who waits for connections waits for a minute
        assert running.stderr is not None
        lines = [json.loads(line) for line in running.stderr]
        assert lines[-1]["event"] == "api.stopped"


def test_a_request_in_flight_is_answered_before_it_ends() -> None:
    """What was accepted is finished."""
    with process(each_call_s=0.5) as (running, port), ask(port) as connection:
        assert running.stderr is not None
        assert json.loads(running.stderr.readline())["event"] == "store.asked"
        running.send_signal(signal.SIGTERM)
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
        assert running.wait(60) == 0


@pytest.mark.proves("more-connections-than-files")
def test_half_open_connections_do_not_use_up_the_files() -> None:
    """With 256 files and 400 callers who send half a request, others are answered, and the process lives."""
    with process(each_call_s=0, files=256) as (running, port), contextlib.ExitStack() as stack:
        for _ in range(400):
            connection = socket.create_connection(("127.0.0.1", port), timeout=10)
            stack.enter_context(connection).sendall(b"POST /workflow HTTP/1.1\r\nHost: localhost\r\nX-A: ")
        for _ in range(3):
            with ask(port) as asking:
                assert asking.recv(4096).startswith(b"HTTP/1.1 200 ")
        running.send_signal(signal.SIGTERM)
        assert running.wait(60) == 0
        assert running.stderr is not None
        events = [json.loads(line)["event"] for line in running.stderr]
        assert "http.connections_full" in events
        assert not [event for event in events if "resource" in event]


def test_an_address_open_to_others_is_refused_without_keys() -> None:
    """`serve` itself checks; nothing listens before it did."""
    settings = Settings(api_host="0.0.0.0")
    with pytest.raises(SettingsError, match="loopback only"):
        serve(create_app(FakeExecutions(), catalog(), settings, FakeAccess()), settings, port=0)


def test_a_taken_port_is_one_clear_error() -> None:
    """The message names the address and the way out."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        app = create_app(FakeExecutions(), catalog(), Settings(), FakeAccess())
        with pytest.raises(CannotRunError, match=f"127.0.0.1:{port}: another program listens there"):
            Server(app, Settings(), port=port)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "999.1.1.1", "a" * 300])
def test_an_impossible_address_is_one_clear_error(host: str) -> None:
    """Whatever the resolver says, no traceback."""
    settings = Settings(insecure=True)
    with pytest.raises(CannotRunError, match="cannot listen on"):
        Server(create_app(FakeExecutions(), catalog(), settings, FakeAccess()), settings, host=host, port=0)


def test_stopping_before_it_runs_lets_it_end() -> None:
    """A stop is not lost, whenever it comes."""
    server = Server(create_app(FakeExecutions(), catalog(), Settings(), FakeAccess()), Settings(), port=0)
    server.stop()
    thread = threading.Thread(target=server.run)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
