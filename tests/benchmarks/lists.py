"""`python -m tests.benchmarks.lists [COUNT]`: what a page of a list costs, and what an execution takes.

Pages are read of 1000 kept executions and of COUNT (100,000): the CPU time of 30 readings each, here and in
the server, and how many times the one takes of the other. Executions have five nodes, a name of ten, three
labels and a correlation id each; one in ten has failed, so that each page but that of one correlation id is
full. Before that, bytes of Redis's memory by execution that waits.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import msgspec
import redis

from flowengine.broker.streams.wire import post
from flowengine.engine.executions import StoredExecutions
from flowengine.execution.requests.listing import Wanted
from flowengine.execution.views.executions import HealthView
from flowengine.settings import Settings
from flowengine.store import keys
from flowengine.store.api_state import RedisApiState
from flowengine.store.connection.sessions import connect
from flowengine.store.state import RedisState
from flowengine.workflow.posting.posted_document import JSON, PostedDocument, pack
from tests.benchmarks.backlog_memory import document
from tests.support.documents import accepted, json_bytes
from tests.support.servers.valkey import Valkey

FEW: Final = 1000
FAILS_EVERY: Final = 10
READINGS: Final = 30
SAMPLE: Final = 3072
ALREADY: Final = 1024
"""Executions that a server holds when its memory is first looked at: its tables have some size then."""
NAMES: Final = keys.of()
WANTED: Final[Mapping[str, Wanted]] = {
    "all": Wanted(),
    "status=failed": Wanted(statuses=("failed",)),
    "name": Wanted(name="workflow 3"),
    "label": Wanted(labels=(("customer", "7"),)),
    "label and status": Wanted(labels=(("team", "data"),), statuses=("failed",)),
    "correlation_id": Wanted(correlation_id=f"{500:032x}"),
    "q=workflow": Wanted(prefix="workflow"),
    "name and q": Wanted(name="workflow 3", prefix="work"),
}


def main(arguments: Sequence[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.lists", description=__doc__)
    parser.add_argument("count", nargs="?", type=int, default=100_000)
    count: int = parser.parse_args(arguments).count
    _memory()
    with _running(10 * count) as (store, client):
        _measure(store, client, count)
    return 0


@contextmanager
def _running(most: int = 100_000) -> Iterator[tuple[StoredExecutions, redis.Redis]]:
    """Executions on a server of their own, of which so many may wait."""
    server = Valkey()
    server.start()
    try:
        client = connect(server.url)
        settings = Settings(redis_url=server.url, max_unfinished_executions=most)
        state = RedisState(client, post, settings)
        yield StoredExecutions(RedisApiState(state), lambda: HealthView(status="ok", checks={})), client
    finally:
        server.close()


def _measure(store: StoredExecutions, client: redis.Redis, count: int) -> None:
    _keep(store, client, FEW, 0)
    few = _times(store, client)
    _keep(store, client, count - FEW, FEW)
    many = _times(store, client)
    sys.stdout.write(f"{'a page of 50, ms of CPU':24}{FEW:>10}{count:>10}{'times':>8}\n")
    for what, before in few.items():
        sys.stdout.write(f"{what:24}{before:10.2f}{many[what]:10.2f}{many[what] / before:8.2f}\n")


def _memory() -> None:
    text = document()
    packed = pack(PostedDocument(json_bytes(text), JSON))
    labels = {"team": "data", "kind": "report", "customer": "4711"}
    cases: dict[str, dict[str, Any]] = {
        "without its document": {},
        "with it": {"document": packed},
        "with it and three labels": {"document": packed, "labels": labels},
    }
    sys.stdout.write(f"{'bytes of an execution that waits':40}{'pending':>10}{'triggered':>10}\n")
    for what, given in cases.items():
        pending, triggered = (_taken(given, triggers=triggers) for triggers in (False, True))
        sys.stdout.write(f"{what:40}{pending:10.0f}{triggered:10.0f}\n")


def _taken(given: Mapping[str, Any], *, triggers: bool) -> float:
    """Bytes of memory that one takes, on a server of its own, which holds some already."""
    plan = accepted(document()).plan
    assert plan is not None
    with _running() as (store, client):
        before = 0
        for at in range(ALREADY + SAMPLE):
            if at == ALREADY:
                before = _used(client)
            made = store.create(plan, correlation_id=f"{at:032x}", **given)
            if triggers:
                store.trigger(made.execution_id, correlation_id="x")
        return (_used(client) - before) / SAMPLE


def _used(client: Any) -> int:
    return int(client.info("memory")["used_memory"])


def _keep(store: StoredExecutions, client: redis.Redis, count: int, first: int) -> None:
    plan = accepted(document()).plan
    assert plan is not None
    plans = [msgspec.structs.replace(plan, name=f"workflow {at}") for at in range(10)]
    for at in range(first, first + count):
        labels = {"team": "data", "customer": str(at % 10), "kind": "report"}
        made = store.create(plans[at % 10], correlation_id=f"{at:032x}", labels=labels).execution_id
        status = "completed" if at % FAILS_EVERY else "failed"
        with client.pipeline(transaction=True) as pipe:
            pipe.hset(NAMES.control(made), "status", status)
            pipe.zrem(NAMES.index("pending"), made)
            pipe.zrem(NAMES.listing("pending"), made)
            pipe.zadd(NAMES.listing("completed" if at % FAILS_EVERY else "failed"), {made: 0})
            pipe.execute()


def _times(store: StoredExecutions, client: redis.Redis) -> dict[str, float]:
    """Milliseconds of CPU of a page, by what is wanted: here and in the server's commands.

    On a busy machine the clock would tell of others.
    """
    return {what: _reading(store, client, wanted) for what, wanted in WANTED.items()}


def _reading(store: StoredExecutions, client: redis.Redis, wanted: Wanted) -> float:
    store.list(wanted, limit=50)
    client.config_resetstat()
    began = time.thread_time()
    for _ in range(READINGS):
        store.list(wanted, limit=50)
    spent_s = time.thread_time() - began
    stats: Mapping[str, Mapping[str, Any]] = client.info("commandstats")
    asked = ("zrange", "zlexcount", "hmget", "hget")
    served_s = sum(float(stats.get(f"cmdstat_{name}", {}).get("usec", 0)) for name in asked) / 1e6
    return (spent_s + served_s) * 1000 / READINGS


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
