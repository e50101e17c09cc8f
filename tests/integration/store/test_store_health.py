"""What /health says of a real server, of one that refuses, and of none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from flowengine.broker.streams.wire import post
from flowengine.execution.views.executions import HealthView
from flowengine.queues import ORCHESTRATOR_QUEUE, handler_line
from flowengine.settings import Settings
from flowengine.store import keys
from flowengine.store.connection.sessions import connect
from flowengine.store.health import Health
from flowengine.store.state import RedisState
from tests.support.servers.valkey import Valkey, free_port


@contextmanager
def asking(url: str) -> Iterator[Health]:
    """Health as an API process asks for it."""
    with ExitStack() as opened:
        client = connect(url)
        opened.callback(client.close)
        state = RedisState(client, post, Settings(redis_url=url))
        opened.callback(lambda: state.sessions.here().discard())
        yield Health(state, (ORCHESTRATOR_QUEUE, "worker"))


def test_closed_port_does_not_answer() -> None:
    """That a connection is refused is the system's word: no server refused a command."""
    with asking(f"redis://127.0.0.1:{free_port()}/0") as health:
        assert health() == HealthView(status="down", checks={"redis": "does not answer"})


def test_server_that_takes_no_writes_refuses(valkey: Valkey) -> None:
    """Its own word for why is in its log and in INFO."""
    with valkey.connect() as client, asking(valkey.url) as health:
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        try:
            found = health()
        finally:
            client.execute_command("REPLICAOF", "NO", "ONE")
    assert found.status == "down"
    assert found.checks["redis"].startswith("refuses commands")


def test_wrong_password_is_an_answer_too(valkey: Valkey) -> None:
    """redis-py files it under errors of the connection."""
    with asking(valkey.url.replace("://", "://nobody:wrong@")) as health:
        assert health().checks["redis"].startswith("refuses commands")


def test_without_services_it_is_degraded(valkey: Valkey) -> None:
    """What is accepted would wait: that is no failure of the API, and not all well either."""
    with asking(valkey.url) as health:
        found = health()
    assert found.status == "degraded"
    assert found.checks["orchestrator"] == found.checks["worker (worker)"] == "none is running"


@pytest.mark.proves("handler-known-by-nobody")
def test_a_handler_that_nodes_wait_for_and_nobody_knows_is_named(valkey: Valkey) -> None:
    """Not one that a worker has known a moment ago, nor one that nothing waits for any more."""
    long_ago, names = 1000, keys.of()
    with valkey.connect() as client, asking(valkey.url) as health:
        assert health().checks["handlers"] == "ok"
        for handler in ("shout", "whisper"):
            client.xadd(names.stream(handler_line("worker", handler)), {"a": "run_node"})
        now = client.time()[0] * 1000
        client.zadd(names.handlers("worker"), {"shout": long_ago, "whisper": now, "gone": long_ago})
        found = health()
        assert found.checks["handlers"] == "no worker knows 'shout' (1 waiting)"
        assert found.status == "degraded"
        for number in range(6):
            client.xadd(names.stream(handler_line("worker", f"h{number}")), {"a": "run_node"})
            client.zadd(names.handlers("worker"), {f"h{number}": long_ago + 1})
        said = health().checks["handlers"]
        assert said.startswith("no worker knows 'shout' (1 waiting), 'h0' (1 waiting), ")
        assert said.endswith(", ...")


def test_handlers_with_odd_names_are_shown_plainly(valkey: Valkey) -> None:
    """What a terminal would obey is spelled out, and what is no text is no error."""
    names = keys.of()
    with valkey.connect() as client, asking(valkey.url) as health:
        client.xadd(names.stream(handler_line("worker", "\x1b[2J")), {"a": "run_node"})
        client.zadd(names.handlers("worker"), {"\x1b[2J": 1, b"\xff": 1})
        assert "\x1b" not in health().checks["handlers"]
