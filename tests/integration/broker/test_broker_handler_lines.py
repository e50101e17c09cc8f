"""Tasks for handlers that a worker does not know wait beside their queue for workers that do."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import dramatiq
import msgspec
import pytest
import redis

from flowengine.broker.delivery import Delivery, Entry
from flowengine.broker.policy import ActorPolicy, KnownHandlers
from flowengine.broker.set_aside.handler_lines import PAGE, PAGES_A_TURN, HandlerLines
from flowengine.broker.streams.consumer_group import ConsumerGroup
from flowengine.broker.streams.wire import ACTOR, PAYLOAD, post
from flowengine.engine.held import Held
from flowengine.engine.ports import Begun
from flowengine.errors import StoreUnavailableError
from flowengine.execution.messages import Callback, RunNode
from flowengine.execution.reports import Failed
from flowengine.execution.rules.deadlines import unknown_handler, worker_lost
from flowengine.queues import ORCHESTRATOR_QUEUE, handler_line, handlers_key, stream_key
from flowengine.settings import Settings
from flowengine.store.state import RedisState
from tests.support.faults import WAYS, Gate, Line, ProcessDied
from tests.support.rigs.broker_rig import LEASE_S, QUEUE, Rig, task
from tests.support.waiting import wait_until

LINE = handler_line(QUEUE, "new")
INDEX = handlers_key(QUEUE)
PASS_ON_COMMANDS = 7
"""TIME, MULTI, XADD, ZADD, XACK, XDEL, EXEC."""
GIVE_UP_COMMANDS = 17
"""ZRANGE, TIME; WATCH, ZSCORE, XRANGE, MULTI, XADD, XACK, XDEL, EXEC; the same without a task: ZREM, DEL."""


class Worker:
    """A worker process that knows these handlers; remembers what it has run and what it has passed on."""

    def __init__(
        self,
        rig: Rig,
        *handlers: str,
        patience_s: float = 60.0,
        lease_s: float = LEASE_S,
        threads: int = 2,
        gated: Sequence[str] = (),
    ) -> None:
        self.ran: list[tuple[str, int]] = []
        self.begun: list[Held[RunNode]] = []
        self.passed: list[str] = []
        self.gate = threading.Event()
        self._handlers = handlers
        self._gated = gated
        policy = ActorPolicy(on_dead=lambda task, starts: worker_lost(task, starts, 0))
        self.broker = rig.broker(
            policies={"run_node": policy}, known=known(*handlers, patience_s=patience_s), lease_s=lease_s
        )
        dramatiq.actor(actor_name="run_node", queue_name=QUEUE, broker=self.broker)(self._act)
        self.worker = rig.work(self.broker, threads=threads)

    def _act(self, payloads: list[bytes]) -> None:
        held: Held[RunNode] = self.broker.held()[0]
        if held.payload.handler not in self._handlers:
            held.pass_on()
            self.passed.append(held.payload.node)
            return
        self.begun.append(held)
        if held.payload.node in self._gated:
            self.gate.wait(20)
        pipe = self.broker.group.client.pipeline(transaction=True)
        held.acknowledge(pipe)
        pipe.execute()
        held.confirm()
        self.ran.append((held.payload.node, held.delivery))


def known(*handlers: str, patience_s: float = 60.0) -> KnownHandlers:
    """A process that knows these handlers."""
    return KnownHandlers(
        knows=handlers.__contains__,
        patience_s=patience_s,
        on_unknown=lambda task, unknown_ms: unknown_handler(task, unknown_ms, 0),
    )


def of(handler: str, node: str = "a") -> bytes:
    """The payload of a task for this handler."""
    return msgspec.json.encode(msgspec.structs.replace(task(node), handler=handler))


def send(rig: Rig, handler: str, *nodes: str, queue: str = QUEUE) -> None:
    """Tasks for this handler, one for each node."""
    rig.send(rig.broker(), *[of(handler, node) for node in nodes], actor="run_node", queue=queue)


def put_in_line(rig: Rig, *nodes: str, known_ago_s: float = 0.0) -> None:
    """These wait for a worker that knows the handler `new`, which was known so long ago."""
    send(rig, "new", *nodes, queue=LINE)
    seconds, _ = rig.client.time()
    rig.client.zadd(INDEX, {"new": (seconds - known_ago_s) * 1000})


def lines_of(
    rig: Rig, *handlers: str, patience_s: float = 60.0, client: redis.Redis | None = None
) -> HandlerLines:
    """What sees to the lines in a process of its own."""
    group = ConsumerGroup(client or rig.client, "it", lease_ms=1000)
    return HandlerLines(group, known(*handlers, patience_s=patience_s))


def told(rig: Rig) -> list[tuple[str, str]]:
    """The nodes that were ended, each with its error's code."""
    callbacks = [
        msgspec.json.decode(fields[PAYLOAD], type=Callback) for fields in rig.fields(ORCHESTRATOR_QUEUE)
    ]
    return [(each.node, each.outcome.error.code) for each in callbacks if isinstance(each.outcome, Failed)]


def known_at(rig: Rig) -> float:
    """When a worker last knew the handler `new`, in milliseconds; 0 where it has no line."""
    return float(rig.client.zscore(INDEX, "new") or 0)


def nothing_waits(rig: Rig) -> bool:
    """Whether the queue is empty, and nothing is left of the line."""
    return rig.length() == 0 and not rig.client.exists(stream_key(LINE), INDEX)


@pytest.mark.proves("handler-unknown")
def test_old_workers_do_not_keep_a_task_from_a_new_one(rig: Rig) -> None:
    """Two that do not know its handler pass each task on once. One that does gets all of them, uncounted."""
    nodes = [f"n{number}" for number in range(20)]
    old = [Worker(rig), Worker(rig)]
    send(rig, "new", *nodes)
    wait_until(lambda: rig.length() == 0 and rig.length(LINE) == 20)
    new = Worker(rig, "new")
    send(rig, "new", "last")
    wait_until(lambda: len(new.ran) == 21 and nothing_waits(rig))
    assert sorted(new.ran) == sorted((node, 1) for node in [*nodes, "last"])
    passed = [node for worker in old for node in worker.passed]
    assert sorted(node for node in passed if node != "last") == sorted(nodes)
    assert (len(told(rig)), len(rig.dead())) == (0, 0)


def test_other_tasks_are_run_meanwhile(rig: Rig) -> None:
    """What a worker cannot run holds up nothing that it can."""
    send(rig, "new", *[f"n{number}" for number in range(30)])
    send(rig, "old", "mine")
    old = Worker(rig, "old")
    wait_until(lambda: old.ran == [("mine", 1)] and rig.length() == 0)
    assert rig.length(LINE) == 30


@pytest.mark.proves("handler-known-by-nobody")
def test_a_handler_that_nobody_has_known_for_so_long_is_given_up(rig: Rig) -> None:
    """Its nodes fail, not sooner. Nothing is left of its line."""
    Worker(rig, "old", patience_s=1.5)
    send(rig, "new", "a", "b")
    wait_until(lambda: known_at(rig))
    began = known_at(rig)
    wait_until(lambda: len(told(rig)) == 2 and nothing_waits(rig))
    assert sorted(told(rig)) == [("a", "unknown_handler"), ("b", "unknown_handler")]
    rows: Any = rig.client.execute_command(b"XRANGE", stream_key(ORCHESTRATOR_QUEUE), "-", "+")
    assert int(rows[0][0].split(b"-")[0]) - began >= 1500
    assert rig.dead() == []


@pytest.mark.proves("handler-known-by-nobody")
def test_a_task_waits_for_a_worker_that_is_busy(rig: Rig) -> None:
    """A worker that knows its handler says so, whatever it is at: nobody ends the task."""
    new = Worker(rig, "new", threads=1, gated=["long"])
    send(rig, "new", "long")
    wait_until(lambda: new.begun)
    Worker(rig, "old", patience_s=1.0)
    send(rig, "new", "waits")
    wait_until(lambda: known_at(rig))
    began = known_at(rig)
    wait_until(lambda: known_at(rig) > began + 2500, what="it is known for longer than that")
    assert (told(rig), rig.length(LINE)) == ([], 1)
    new.gate.set()
    wait_until(lambda: new.ran == [("long", 1), ("waits", 1)] and nothing_waits(rig))


def test_a_handler_that_becomes_known_meanwhile_is_not_given_up(rig: Rig) -> None:
    """A worker says that it knows it, between the look of one that gives it up and the transaction."""
    put_in_line(rig, "a", known_ago_s=60)
    new = lines_of(rig, "new")

    def meanwhile(task: RunNode, unknown_ms: int) -> Callback:
        new.look(QUEUE)
        return unknown_handler(task, unknown_ms, 0)

    old = msgspec.structs.replace(known(patience_s=1), on_unknown=meanwhile)
    HandlerLines(ConsumerGroup(rig.client, "it", lease_ms=1000), old).look(QUEUE)
    assert (told(rig), rig.length(LINE), new.readable(QUEUE)) == ([], 1, ("new",))


def test_a_turn_ends_a_bounded_number_of_tasks(rig: Rig) -> None:
    """The thread that does it has leases to keep."""
    most = PAGE * PAGES_A_TURN
    put_in_line(rig, *[f"n{number}" for number in range(most + 1)], known_ago_s=60)
    lines = lines_of(rig, patience_s=1)
    lines.look(QUEUE)
    assert (len(told(rig)), rig.length(LINE)) == (most, 1)
    lines.look(QUEUE)
    assert (len(told(rig)), nothing_waits(rig)) == (most + 1, True)


@pytest.mark.proves("handler-unknown")
def test_passing_on_cut_anywhere_happens_whole_or_not_at_all(rig: Rig) -> None:
    """The task is in its queue, pending, or in its handler's line, which is listed."""
    for way in WAYS:
        for at in range(1, PASS_ON_COMMANDS + 2):
            rig.client.flushall()
            send(rig, "new", "a")
            gate = Gate(at=at, way=way)
            said = was_passed_on(rig, gate)
            where = f"{way} at {at} ({gate.struck})"
            found = (rig.length(), len(rig.pending()), rig.length(LINE), rig.client.zcard(INDEX))
            assert found in ((1, 1, 0, 0), (0, 0, 1, 1)), where
            assert said == (gate.struck is None), where
        assert gate.struck is None, "not every command was tried"


def was_passed_on(rig: Rig, gate: Gate) -> bool:
    """Whether a process that passes this gate says that it has passed the task on."""
    client = Line("worker", gate).connect(rig.server.url)
    [entry] = rig.take_as("it")
    lines = lines_of(rig, client=client)
    try:
        lines.pass_on(delivery_of(entry, lines), [0])
    except (ProcessDied, StoreUnavailableError):
        return False
    finally:
        client.close()
    return True


def delivery_of(entry: bytes, lines: HandlerLines) -> Delivery:
    """A task for the handler `new` that a process holds."""
    payload = of("new")
    message: dramatiq.Message[object] = dramatiq.Message(
        queue_name=QUEUE, actor_name="run_node", args=(), kwargs={}, options={}
    )
    return Delivery(
        message,
        QUEUE,
        [Entry(entry, 1, "run_node", payload, [ACTOR, b"run_node", PAYLOAD, payload])],
        engine=True,
        release=lambda line, entries: None,
        hand_back_part=lambda delivery, entries: None,
        stream=stream_key(QUEUE),
        pass_on=lines.pass_on,
    )


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a dead process's UNWATCH
@pytest.mark.proves("handler-known-by-nobody")
def test_giving_up_cut_anywhere_ends_each_task_once(rig: Rig) -> None:
    """The task waits or its node is told of; the next look does the rest."""
    for way in WAYS:
        for at in range(1, GIVE_UP_COMMANDS + 2):
            rig.client.flushall()
            put_in_line(rig, "a", known_ago_s=60)
            gate = Gate(at=at, way=way)
            client = Line("worker", gate).connect(rig.server.url)
            try:
                lines_of(rig, patience_s=1, client=client).look(QUEUE)
            except (ProcessDied, redis.RedisError):
                assert gate.struck is not None
            client.close()
            where = f"{way} at {at} ({gate.struck})"
            assert len(told(rig)) + rig.length(LINE) == 1, where
            lines_of(rig, patience_s=1).look(QUEUE)
            assert (len(told(rig)), nothing_waits(rig)) == (1, True), where
        assert gate.struck is None, "not every command was tried"


def test_a_task_that_kills_its_workers_in_a_line_is_buried(rig: Rig) -> None:
    """It counts there as anywhere, for every process: its dead letter is among those of its queue."""
    put_in_line(rig, "killer")
    rig.take_as("gone", queue=LINE, deliveries=3)
    old, new = Worker(rig), Worker(rig, "new")
    wait_until(lambda: nothing_waits(rig))
    assert (told(rig), len(rig.dead())) == ([("killer", "worker_lost")], 1)
    assert (len(old.passed), len(new.begun)) == (0, 0)


def test_what_a_dead_worker_held_waits_for_one_that_knows_it(rig: Rig) -> None:
    """One that does not know the handler leaves it where it is, and its count as it is."""
    put_in_line(rig, "a")
    rig.take_as("gone", queue=LINE)
    old = Worker(rig)
    wait_until(lambda: rig.client.xpending_range(stream_key(LINE), "fe", "-", "+", 1, idle=2500))
    assert rig.pending(LINE).popitem()[1] == (b"gone", 1)
    new = Worker(rig, "new")
    wait_until(lambda: new.ran == [("a", 2)] and nothing_waits(rig))
    assert old.passed == []


def test_the_lease_of_a_task_from_a_line_is_kept(rig: Rig) -> None:
    """It runs for longer than a lease, beside another worker that could take it over."""
    put_in_line(rig, "long")
    new = Worker(rig, "new", gated=["long"])
    wait_until(lambda: new.begun)
    other = Worker(rig, "new")
    began = time.monotonic()
    wait_until(lambda: time.monotonic() - began > 3 * LEASE_S, what="three leases")
    [held] = new.begun
    assert held.place.endswith(f"/{LINE}")
    state = RedisState(rig.server.connect(), post, Settings(lease_s=LEASE_S))
    assert state.task_state(QUEUE, Begun(1, 0, held.place)) == "held"
    state.sessions.here().discard()
    new.gate.set()
    wait_until(lambda: new.ran == [("long", 1)] and nothing_waits(rig))
    assert other.begun == []


def test_a_worker_that_stops_hands_back_what_it_has_of_a_line(rig: Rig) -> None:
    """Another one that knows the handler runs it, uncounted."""
    put_in_line(rig, "long")
    first = Worker(rig, "new", gated=["long"], lease_s=60.0)
    first.broker.handler_lines.look(QUEUE)  # type: ignore[union-attr]  # it knows handlers, so it has lines
    wait_until(lambda: first.begun)
    first.broker.stop(first.worker, within_s=0)
    second = Worker(rig, "new")
    wait_until(lambda: second.ran == [("long", 1)])
    first.gate.set()


def test_a_task_that_comes_as_its_line_is_removed_is_not_lost(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line is removed only while it is empty."""
    lines, remove = lines_of(rig, "new"), HandlerLines._remove

    def meanwhile(self: HandlerLines, pipe: redis.client.Pipeline, queue: str, handler: str) -> None:
        put_in_line(rig, "a")
        remove(self, pipe, queue, handler)

    monkeypatch.setattr(HandlerLines, "_remove", meanwhile)
    lines.tidy(QUEUE, "new")
    assert (rig.length(LINE), rig.client.zcard(INDEX)) == (1, 1)


def test_a_name_that_nobody_can_read_is_removed_alone(rig: Rig) -> None:
    """It is no handler's, and stops no other line."""
    rig.client.zadd(INDEX, {b"\xff": 1})
    put_in_line(rig, "a", known_ago_s=60)
    lines_of(rig, patience_s=1).look(QUEUE)
    assert told(rig) == [("a", "unknown_handler")]
    assert not rig.client.exists(INDEX)


def test_what_is_no_task_leaves_with_its_line(rig: Rig) -> None:
    """Nobody can be told of it."""
    rig.client.xadd(stream_key(LINE), {"x": "?"})
    put_in_line(rig, "a", known_ago_s=60)
    lines_of(rig, patience_s=1).look(QUEUE)
    assert (told(rig), nothing_waits(rig)) == ([("a", "unknown_handler")], True)


def test_a_queue_without_lines_costs_one_command(rig: Rig) -> None:
    """Every worker process asks, at every turn, for every queue."""
    rig.client.config_resetstat()
    lines_of(rig, "new").look(QUEUE)
    stats = rig.client.info("commandstats")
    called = {name: figures["calls"] for name, figures in stats.items() if "config" not in name}
    assert called == {"cmdstat_zrange": 1}


def test_flush_drops_the_lines_as_well(rig: Rig) -> None:
    """Every message of the queue means these too."""
    put_in_line(rig, "a")
    rig.broker(known=known()).flush(QUEUE)
    assert nothing_waits(rig)
