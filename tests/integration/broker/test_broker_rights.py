"""The broker on a server that forbids its user what can be done without, and then what cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from structlog.testing import capture_logs

from tests.support.rigs.broker_rig import Rig, Seen, encoded
from tests.support.servers.valkey import Valkey
from tests.support.waiting import wait_until


@pytest.fixture
def limited(private_valkey: Callable[..., Valkey]) -> Iterator[Rig]:
    """A rig whose user may run neither CLIENT nor INFO."""
    server = private_valkey()
    made = Rig(server)
    made.client.execute_command("ACL", "SETUSER", "default", "-client", "-info")
    yield made
    made.client.execute_command("ACL", "SETUSER", "default", "+@all")
    made.close()


@pytest.mark.proves("redis-forbids")
def test_messages_are_taken_and_the_worker_stops_without_client_and_info(limited: Rig) -> None:
    """No queue was ever read where CLIENT ID was forbidden."""
    broker, seen = limited.engine_broker(), Seen()
    limited.actor(broker, seen)
    with capture_logs() as logs:
        worker = limited.work(broker)
        limited.send(broker, encoded("a"))
        wait_until(lambda: seen.payloads == [encoded("a")] and limited.length() == 0)
        limited.stop(worker)
    assert [line["event"] for line in logs if line["log_level"] != "info"] == []


def test_right_that_is_taken_away_is_no_lost_connection(limited: Rig) -> None:
    """The log says what is forbidden; once it is allowed again, messages are taken."""
    broker, seen = limited.engine_broker(), Seen()
    limited.actor(broker, seen)
    limited.client.execute_command("ACL", "SETUSER", "default", "-xreadgroup")
    with capture_logs() as logs:
        worker = limited.work(broker)
        limited.send(broker, encoded("a"))
        wait_until(lambda: any(line["event"] == "broker.command_forbidden" for line in logs))
        limited.client.execute_command("ACL", "SETUSER", "default", "+xreadgroup")
        wait_until(lambda: seen.payloads == [encoded("a")])
        limited.stop(worker)
    assert "xreadgroup" in next(line["error"] for line in logs if line["event"] == "broker.command_forbidden")
    assert "broker.connection_lost" not in [line["event"] for line in logs]
