"""Submits calls and chains to FlowEngine: the calls are the nodes of one execution, by its HTTP handler."""

from __future__ import annotations

import time

import msgspec

from flowengine.queues import WORKER_QUEUE
from flowengine.workflow.maps.policy import MapPolicy
from flowengine.workflow.plan import Plan, PlanNode, Task
from flowengine.workflow.policy import Policy
from tests.benchmarks.drivers import marks
from tests.benchmarks.drivers.flowengine_driver import NAMES, chain, ends, single, start
from tests.benchmarks.drivers.lines import Samples, serve
from tests.benchmarks.waiting.called import url_of

BETWEEN_S = 0.05
_NOTHING = Task("noop", msgspec.Raw(b"{}"), (), 300_000, WORKER_QUEUE)


class _Begun:
    """The execution that was begun last."""

    execution = ""


def calls(count: int, seconds: float) -> Samples:
    """So many calls, from the trigger to the end of the execution."""
    began = time.perf_counter()
    execution = start(_plan(count, seconds))
    return {"seconds": [ends([execution], began)[execution] - began]}


def mapped_calls(count: int, seconds: float) -> Samples:
    """The same calls as the items of one map."""
    began = time.perf_counter()
    execution = start(_map(count, seconds))
    return {"seconds": [ends([execution], began)[execution] - began]}


def begin(count: int, seconds: float) -> Samples:
    """Begin so many calls; `end` waits for them."""
    _Begun.execution = start(_plan(count, seconds))
    return {}


def end() -> Samples:
    """Wait for those that were begun."""
    ends([_Begun.execution], time.perf_counter())
    return {}


def flood(nodes: int) -> Samples:
    """So many empty nodes of one execution, and single nodes of others, one by one, until these end."""
    plan = Plan("flood", tuple(PlanNode(f"n{at}", (), _NOTHING) for at in range(nodes)))
    began = time.perf_counter()
    execution = start(plan)
    latencies: list[float] = []
    while marks.client().hget(NAMES.control(execution), "status") == b"running":
        latencies += single()["latencies"]
        time.sleep(BETWEEN_S)
    return {"seconds": [time.perf_counter() - began], "latencies": latencies}


def _plan(count: int, seconds: float) -> Plan:
    nodes = tuple(PlanNode(f"n{at}", (), _task(seconds)) for at in range(count))
    return Plan("calls", nodes, waiting=frozenset(range(count)))


def _map(count: int, seconds: float) -> Plan:
    said = MapPolicy(msgspec.json.encode({"items": list(range(count))}).decode())
    nodes = (PlanNode("n0", (), _task(seconds)),)
    return Plan("mapped_calls", nodes, {0: Policy(map=said)}, waiting=frozenset({0}))


def _task(seconds: float) -> Task:
    config = msgspec.Raw(msgspec.json.encode({"url": url_of(seconds)}))
    return Task("http_request", config, (), 300_000, WORKER_QUEUE)


if __name__ == "__main__":
    serve(
        {
            "chain": chain,
            "calls": calls,
            "mapped_calls": mapped_calls,
            "begin": begin,
            "end": end,
            "single": single,
            "flood": flood,
        }
    )
