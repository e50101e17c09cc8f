"""Where the nodes of async handlers go, by who serves what."""

from __future__ import annotations

import redis

from flowengine.queues import GROUP, async_line, crowd_line
from flowengine.store import keys
from flowengine.store.connection.sessions import Sessions, connect
from flowengine.store.lines_beside import LinesBeside
from tests.support.servers.valkey import Valkey

NAMES = keys.of("")
LINE = async_line("worker")


def serve(client: redis.Redis, line: str) -> None:
    """A worker of its own reads this."""
    key = NAMES.stream(line)
    client.xgroup_create(key, GROUP, id="0", mkstream=True)
    # Redis 7.0 makes none for a reader that finds nothing.
    client.xgroup_createconsumer(key, GROUP, f"fe2-one-of-{line}")


def test_the_line_is_used_unless_only_older_workers_serve_the_queue(valkey: Valkey) -> None:
    """Before any worker has come, and where one serves both. What was asked is believed for a while."""
    client = connect(valkey.url)
    sessions = Sessions(client)

    def asked_anew() -> str:
        return LinesBeside(sessions, NAMES).line_for("worker", waits=True, crowd=False)

    known = LinesBeside(sessions, NAMES)
    assert known.line_for("worker", waits=True, crowd=False) == asked_anew() == LINE
    serve(client, "worker")
    assert asked_anew() == "worker"
    assert known.line_for("worker", waits=True, crowd=False) == LINE
    serve(client, LINE)
    assert asked_anew() == LINE
    client.close()


def test_the_crowd_goes_behind_the_line_that_is_used(valkey: Valkey) -> None:
    """And into it, where only older workers serve it. The sweep looks in all of them."""
    client = connect(valkey.url)
    sessions = Sessions(client)

    def asked(*, waits: bool) -> tuple[str, tuple[str, ...]]:
        lines = LinesBeside(sessions, NAMES)
        line = lines.line_for("worker", waits=waits, crowd=True)
        return line, lines.may_hold("worker", waits=waits, crowd=True)

    behind, behind_line = crowd_line("worker"), crowd_line(LINE)
    assert asked(waits=False) == (behind, ("worker", behind))
    assert asked(waits=True) == (behind_line, ("worker", LINE, behind_line))
    serve(client, "worker")
    assert asked(waits=False) == asked(waits=True) == ("worker", ("worker",))
    serve(client, behind)
    assert asked(waits=False) == asked(waits=True) == (behind, ("worker", behind))
    serve(client, LINE)
    assert asked(waits=True) == (LINE, ("worker", LINE))
    serve(client, behind_line)
    assert asked(waits=True) == (behind_line, ("worker", LINE, behind_line))
    client.close()
