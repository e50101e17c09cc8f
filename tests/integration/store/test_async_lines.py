"""Where the nodes of async handlers go, by who serves what."""

from __future__ import annotations

import redis

from flowengine.queues import GROUP, async_line
from flowengine.store import keys
from flowengine.store.async_lines import AsyncLines
from flowengine.store.connection.sessions import Sessions, connect
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
        return AsyncLines(sessions, NAMES).line_for("worker")

    known = AsyncLines(sessions, NAMES)
    assert known.line_for("worker") == asked_anew() == LINE
    serve(client, "worker")
    assert asked_anew() == "worker"
    assert known.line_for("worker") == LINE
    serve(client, LINE)
    assert asked_anew() == LINE
    client.close()
