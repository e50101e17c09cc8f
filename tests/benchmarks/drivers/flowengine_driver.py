"""Submits the workloads to FlowEngine, through the same store that its API uses, and waits for their ends.

The plans are written by hand, as the peers' canvases are; validation of documents is not measured.
An execution has ended when its record says so, which is after its last node ran.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import msgspec
from msgspec.structs import replace

from flowengine.bootstrap import build_executions
from flowengine.execution.events import DECIDED, decode_events
from flowengine.handlers.loading import load_registry
from flowengine.queues import WORKER_QUEUE, stream_key
from flowengine.settings import Settings
from flowengine.store import keys
from flowengine.workflow.maps.policy import MapPolicy
from flowengine.workflow.plan import Plan, PlanNode, Task
from flowengine.workflow.policy import Policy, Retry
from tests.benchmarks.drivers import marks
from tests.benchmarks.drivers.lines import Samples, redis_url, serve

POLL_S = 0.0005
POLL_ALONE_S = 0.0001
DRAIN_POLL_S = 0.01
DRAIN_WITHIN_S = 280.0
DIAMOND_NODES = 5
PAUSE_MS = 1000
NAMES = keys.of()

_settings = Settings(redis_url=redis_url())
_executions = build_executions(_settings, load_registry(()))


def chain(nodes: int) -> Samples:
    """Each node depends on the one before."""
    return _once(chain_plan(nodes))


def fan_out(width: int) -> Samples:
    """One node, so many that depend on it, one that depends on all."""
    return _once(diamond_plan(width))


def mapped(items: int) -> Samples:
    """One node, a map over so many items, and one that depends on it."""
    return _once(map_plan(items))


def single() -> Samples:
    """One node."""
    return _many(1, chain_plan(1))


def many(count: int) -> Samples:
    """Five nodes: one, three, one."""
    return _many(count, diamond_plan(3))


def many_chain(count: int) -> Samples:
    """Five nodes in a row."""
    return _many(count, chain_plan(5))


def payload(nodes: int, size: int) -> Samples:
    """A chain in which each node reads the text that the one before returned."""
    last = nodes - 1
    links = [
        _reading(at, "echo_payload" if at < last else "mark", {"mark": ""} if at == last else {})
        for at in range(1, nodes)
    ]
    return _once(Plan("payload", (_node(0, "make_payload", {"size": size}, ()), *links)))


def _reading(at: int, handler: str, config: dict[str, str]) -> PlanNode:
    """A node that reads the text of the one before."""
    text = "{{ n" + str(at - 1) + ".result }}"
    return _node(at, handler, {**config, "text": text}, (at - 1,), reads=(at - 1,))


def store(count: int) -> Samples:
    """Bytes that an execution of five nodes takes in Redis: created, and then triggered.

    Meant for a stack whose services do not run: what is triggered goes on waiting.
    """
    plan = diamond_plan(3)
    before = _used()
    made = [_executions.create(plan, correlation_id="bench").execution_id for _ in range(count)]
    created = _used()
    began = time.perf_counter()
    for execution in made:
        _executions.trigger(execution, correlation_id="bench")
    took = time.perf_counter() - began
    triggered = _used()
    return {
        "created_bytes": [(created - before) / count],
        "triggered_bytes": [(triggered - before) / count],
        "trigger_ms": [took * 1000 / count],
    }


def drain(count: int) -> Samples:
    """Wait for the ends of so many executions that wait already; times them from the first task on."""
    deadline = time.monotonic() + DRAIN_WITHIN_S
    while not marks.client().exists(stream_key(WORKER_QUEUE)) and time.monotonic() < deadline:
        time.sleep(DRAIN_POLL_S)
    began = time.perf_counter()
    waiting = left = marks.client().zcard(NAMES.index("running"))
    while left and time.monotonic() < deadline:
        time.sleep(DRAIN_POLL_S)
        left = marks.client().zcard(NAMES.index("running"))
    took = time.perf_counter() - began
    done = marks.client().zcard(NAMES.index("completed"))
    if done < count:
        raise TimeoutError(f"{left} executions still run, {done} of {count} are completed")
    return {"seconds": [took], "nodes": [waiting * DIAMOND_NODES]}


def tries_again(count: int) -> Samples:
    """Executions of one node that fails once: by how much its second try was sent later than it was due.

    Raises RuntimeError if one was sent too early.
    """
    retry = Retry(max_attempts=2, delay_ms=PAUSE_MS)
    plan = Plan("tries_again", (_node(0, "fails_once", {}, ()),), {0: Policy(retry=retry)})
    triggered = []
    for _ in range(count):
        triggered.append(_executions.create(plan, correlation_id="bench").execution_id)
        _executions.trigger(triggered[-1], correlation_id="bench")
    ends(triggered, time.perf_counter())
    late = [_late_ms(execution) for execution in triggered]
    if min(late) < 0:
        raise RuntimeError(f"a try was sent {-min(late)} ms before it was due")
    return {"late_ms": late}


def _late_ms(execution: str) -> float:
    """By how much the second try was sent later than it was due."""
    at: dict[tuple[str, int], int] = {}
    for _, fields in marks.client().xrange(NAMES.events(execution)) or ():
        assert isinstance(fields, dict)
        encoded = fields.get(DECIDED.encode(), b"[]")
        assert isinstance(encoded, bytes)
        for event in decode_events(encoded):
            at[event.kind, event.attempt] = event.at
    return float(at["node_queued", 2] - at["node_waiting", 1] - PAUSE_MS)


def _used() -> int:
    return int(marks.client().info("memory")["used_memory"])


def _node(
    at: int, handler: str, config: object, parents: tuple[int, ...], *, reads: tuple[int, ...] = ()
) -> PlanNode:
    encoded = msgspec.Raw(msgspec.json.encode(config))
    task = Task(handler=handler, config=encoded, reads=reads, timeout_ms=300_000, queue=WORKER_QUEUE)
    return PlanNode(f"n{at}", parents, task)


def chain_plan(nodes: int) -> Plan:
    """A chain whose last node leaves a mark."""
    links = [_node(at, "noop", {}, (at - 1,) if at else ()) for at in range(nodes - 1)]
    return Plan("chain", (*links, _node(nodes - 1, "mark", {"mark": ""}, (nodes - 2,) if nodes > 1 else ())))


def diamond_plan(width: int) -> Plan:
    """One, `width`, one; the last node leaves a mark."""
    branches = range(1, width + 1)
    return Plan(
        "diamond",
        (
            _node(0, "noop", {}, ()),
            *(_node(at, "noop", {}, (0,)) for at in branches),
            _node(width + 1, "mark", {"mark": ""}, tuple(branches)),
        ),
    )


def map_plan(items: int) -> Plan:
    """One, a map, one; the last node leaves a mark."""
    said = MapPolicy(msgspec.json.encode({"items": list(range(items))}).decode())
    nodes = (_node(0, "noop", {}, ()), _node(1, "noop", {}, (0,)), _node(2, "mark", {"mark": ""}, (1,)))
    return Plan("map", nodes, {1: Policy(map=said)})


def _marked(plan: Plan, mark: str) -> Plan:
    """The plan with this mark in its last node."""
    last = plan.nodes[-1]
    config = msgspec.json.decode(last.work.config) | {"mark": mark}
    work = replace(last.work, config=msgspec.Raw(msgspec.json.encode(config)))
    return replace(plan, nodes=(*plan.nodes[:-1], replace(last, work=work)))


def _once(plan: Plan) -> Samples:
    """How long one execution takes, and how many bytes and commands its server took for it."""
    before, sent = _used(), _commands()
    seconds = _many(1, plan)["seconds"]
    return {"seconds": seconds, "bytes": [float(_used() - before)], "commands": [float(_commands() - sent)]}


def _commands() -> int:
    """How many commands the server has carried out."""
    return int(marks.client().info("stats")["total_commands_processed"])


def _many(count: int, plan: Plan) -> Samples:
    """Create and trigger `count` executions; what follows is timed by the first create and the triggers."""
    triggered: dict[str, float] = {}
    mark_of: dict[str, str] = {}
    began = time.perf_counter()
    for _ in range(count):
        mark = marks.fresh()
        made = _executions.create(_marked(plan, mark), correlation_id="bench").execution_id
        mark_of[made] = mark
        triggered[made] = time.perf_counter()
        _executions.trigger(made, correlation_id="bench")
    marks.arrivals(set(mark_of.values()))
    ended = ends(triggered, began)
    return {
        "seconds": [max(ended.values()) - began],
        "latencies": [ended[execution] - at for execution, at in triggered.items()],
    }


def start(plan: Plan) -> str:
    """Create an execution and trigger it."""
    execution = _executions.create(plan, correlation_id="bench").execution_id
    _executions.trigger(execution, correlation_id="bench")
    return execution


def ends(triggered: Iterable[str], began: float) -> dict[str, float]:
    """When each execution ended, on `time.perf_counter`; one alone by looking, many by their records."""
    waiting = set(triggered)
    alone = len(waiting) == 1
    epoch = time.time() - time.perf_counter()
    ended: dict[str, float] = {}
    deadline = time.monotonic() + marks.WITHIN_S
    while waiting:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(waiting)} executions did not end")
        with marks.client().pipeline(transaction=False) as pipe:
            looked = list(waiting)
            for execution in looked:
                pipe.hmget(NAMES.control(execution), "status", "finished_at")
            for execution, (status, finished) in zip(looked, pipe.execute(), strict=True):
                if status == b"failed":
                    raise RuntimeError(f"execution {execution} failed")
                if status == b"completed":
                    waiting.discard(execution)
                    ended[execution] = time.perf_counter() if alone else int(finished) / 1000 - epoch
        if waiting:
            time.sleep(POLL_ALONE_S if alone else POLL_S)
    return ended


def _workloads() -> dict[str, Callable[..., Samples]]:
    return {
        "chain": chain,
        "fan_out": fan_out,
        "map": mapped,
        "single": single,
        "many": many,
        "many_chain": many_chain,
        "payload": payload,
        "store": store,
        "drain": drain,
        "tries_again": tries_again,
    }


if __name__ == "__main__":
    serve(_workloads())
