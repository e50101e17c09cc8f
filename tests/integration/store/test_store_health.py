"""What /health says of a real server, of one that refuses, and of none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from flowengine.broker.streams.wire import post
from flowengine.execution.views import HealthView
from flowengine.queues import ORCHESTRATOR_QUEUE
from flowengine.settings import Settings
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
