"""Crash points under real Dramatiq Workers: the broker's own commands too, real leases, real threads.

The same reference workflow as in `test_crash_points`, half of whose nodes need no thread, over the whole
stack as the product puts it together, the same beside a worker that does not know its handlers, and a burial:
a node that kills its worker until it is given up, whose workers are stopped somewhere. What dies is replaced,
and its messages come back when their leases lapse.

Timing decides what the n-th command is, so this is a sample. CI tries every eighth number in each of
the four ways, by turns; `just fault` tries every number in every way (`FLOWENGINE_LIVE_POINTS_EVERY=1`).
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import ClassVar, Final, Literal, TypeAlias, TypeVar

import msgspec
import pytest
import redis

from flowengine.errors import FlowEngineError, WrongStateError
from flowengine.plugin import Context, HandlerError
from tests.fault.crash_scenes.report import (
    COUNTED_PASSES,
    DYING,
    FAILING,
    GRAPH,
    SERVICES,
    WAITING,
    Tried,
    failures,
    table,
    told,
)
from tests.support.checks.invariants import check_everything
from tests.support.checks.reference_model import Graph, expected_values, final_statuses
from tests.support.checks.snapshot import Client
from tests.support.faults import WAYS, Gate, Line, ProcessDied, Way
from tests.support.rigs.harness import plan_of, silence
from tests.support.rigs.live_stack import LiveStack, through_gates
from tests.support.servers.valkey import Valkey

T = TypeVar("T")
Scene: TypeAlias = Literal["reference", "mixed", "burial"]

PROCESSES = 2
LANES = 4
EVERY = int(os.environ.get("FLOWENGINE_LIVE_POINTS_EVERY", "8"))
END_WITHIN_S = 30.0


class Reference:
    """One pass of the reference workflow over a live stack that a gate stops somewhere."""

    graph: ClassVar[Graph] = GRAPH
    failing: ClassVar[str] = FAILING
    max_deliveries: ClassVar[int] = 10
    dead_letters: ClassVar[int] = 0
    strangers: ClassVar[int] = 0
    waiting: ClassVar[Sequence[str]] = WAITING

    def __init__(self, url: str, gate: Gate) -> None:
        self.client: Client = redis.Redis.from_url(url, socket_timeout=30)
        self.client.flushdb()
        self._killed = threading.Event()
        self.stack = LiveStack(
            url, gate, self._do, max_deliveries=self.max_deliveries, strangers=self.strangers
        )

    def _do(self, context: Context, worker: Line) -> None:
        if context.node_id == FAILING and context.run == 1:
            raise HandlerError("boom", "failed on purpose")
        if context.node_id == DYING and not self._killed.is_set():
            self._killed.set()
            worker.kill()

    def run(self) -> None:
        """Both runs, then everything that must hold."""
        plan = plan_of(self.graph, waiting=self.waiting)
        execution = self._ask(lambda: self.stack.api.create(plan, correlation_id="c").execution_id)
        self._trigger(execution, run=1)
        self._wait_for(execution, "failed")
        view = self._ask(lambda: self.stack.api.status(execution))
        assert {n.id: n.status for n in view.nodes} == final_statuses(self.graph, {self.failing}.__contains__)
        self._look_at_failed(execution)
        self._trigger(execution, run=2)
        self._wait_for(execution, "completed")
        found = self._ask(lambda: self.stack.api.results(execution)).results
        results = {node: msgspec.json.decode(result)["result"] for node, result in found.items()}
        assert results == expected_values(self.graph)
        # A task or a callback that was overtaken may still come back when its lease lapses.
        self.stack.wait(self._is_drained, within_s=END_WITHIN_S, what="the queues are empty")

    def close(self) -> None:
        """Stop the stack; then nothing moves any more, and everything can be checked."""
        self.stack.close()
        try:
            check_everything(self.client, dead_letters=self.dead_letters)
        finally:
            self.client.close()

    def _look_at_failed(self, execution: str) -> None:
        """Nothing more to see."""

    def _wait_for(self, execution: str, status: str) -> None:
        self.stack.wait(
            lambda: self.client.hget(f"fe:x:{execution}:control", "status") == status.encode(),
            within_s=END_WITHIN_S,
            what=f"the execution is {status}",
        )

    def _is_drained(self) -> bool:
        # In this order: a task that moves on between two looks is seen where it has gone.
        return not any(
            (
                self.client.xlen("fe:q:worker:async"),  # from here a stranger moves it into the queue
                self.client.xlen("fe:q:worker"),  # and from there into its handler's line
                self.client.exists("fe:handlers:worker"),
                self.client.xlen("fe:q:orchestrator"),
            )
        )

    def _trigger(self, execution: str, *, run: int) -> None:
        def trigger() -> None:
            # A client that got no answer asks again; the first may have been heard, and its run be over.
            if int(self.client.hget(f"fe:x:{execution}:control", "run") or 0) < run:
                self.stack.api.trigger(execution, correlation_id="c")

        with contextlib.suppress(WrongStateError):
            self._ask(trigger)

    def _ask(self, ask: Callable[[], T]) -> T:
        for _ in range(2):
            try:
                return ask()
            except WrongStateError:
                raise
            except (FlowEngineError, ProcessDied):
                self.stack.replace_the_dead()
        return ask()


class Mixed(Reference):
    """The same beside a worker of an older deployment."""

    strangers: ClassVar[int] = 1


class Burial(Reference):
    """One pass of a workflow whose first node kills its worker until it is buried; then it is spared."""

    graph: ClassVar[Graph] = {"killer": (), "below": ("killer",), "last": ("below",)}
    failing: ClassVar[str] = "killer"
    max_deliveries: ClassVar[int] = 2
    dead_letters: ClassVar[int] = 1
    waiting: ClassVar[Sequence[str]] = ("killer", "last")

    def _do(self, context: Context, worker: Line) -> None:
        if context.node_id == self.failing and context.run == 1:
            worker.kill()

    def _look_at_failed(self, execution: str) -> None:
        errors = self._ask(lambda: self.stack.api.results(execution)).errors
        assert errors[self.failing].code == "worker_lost"
        assert self.client.xlen("fe:q:worker:dead") == 1


SCENES: Final[dict[Scene, type[Reference]]] = {
    "reference": Reference,
    "mixed": Mixed,
    "burial": Burial,
}


def gate_of(scene: Scene, at: int | None = None, way: Way = "fail_before") -> Gate:
    """A gate for every process; for the workers alone at a burial, and beside strangers, which are workers
    too: what the others do there is struck in the first scene."""
    return Gate(at, way, only=None if scene == "reference" else lambda name: name.startswith("worker"))


def one_pass(url: str, gate: Gate, scene: Scene) -> str | None:
    """What went wrong, or None."""
    reference = SCENES[scene](url, gate)
    wrong = None
    try:
        reference.run()
    except AssertionError as error:
        wrong = told(error)
    try:
        reference.close()
    except AssertionError as error:
        wrong = wrong or told(error)
    return wrong


def try_points(url: str, points: Sequence[tuple[Way, int]], scene: Scene) -> list[Tried]:
    """Strike at each of the points, one pass each, one after the other."""
    tried = []
    for way, at in points:
        gate = gate_of(scene, at, way)
        wrong = one_pass(url, gate, scene)
        tried.append(Tried(way, at, gate.struck or "nothing: ", wrong))
    return tried


def try_lanes(server: str, points: Sequence[tuple[Way, int]], scene: Scene) -> list[Tried]:
    """The same, in several databases of a server at once: most of the time leases are waited for."""
    logging.disable(logging.CRITICAL)
    lanes = [points[lane::LANES] for lane in range(LANES)]
    urls = [server.removesuffix("/0") + f"/{lane}" for lane in range(LANES)]
    with silence(), through_gates(), ThreadPoolExecutor(LANES) as pool:
        return [each for lane in pool.map(try_points, urls, lanes, [scene] * LANES) for each in lane]


def count_commands(server: str, scene: Scene) -> int:
    """How many commands a pass takes that nothing stops."""
    gate = gate_of(scene)
    with silence(), through_gates():
        assert one_pass(server, gate, scene) is None
    return gate.count


@pytest.mark.proves("broker-crash-at-any-command", "handler-unknown")
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("scene", SCENES)
def test_the_live_stack_survives_crash_points(
    private_valkey: Callable[[], Valkey], capsys: pytest.CaptureFixture[str], scene: Scene
) -> None:
    """The execution ends right and nothing is left, whichever process is stopped at whatever command: a
    sample in CI, every number in every way by `just fault`."""
    servers = [private_valkey().url for _ in range(PROCESSES)]
    with ProcessPoolExecutor(PROCESSES, mp_context=multiprocessing.get_context("spawn")) as pool:
        commands = min(pool.submit(count_commands, servers[0], scene).result() for _ in range(COUNTED_PASSES))
        # The ways take turns, so that a sample reaches different commands in each.
        points = [(way, at) for turn, way in enumerate(WAYS) for at in range(1 + turn, commands + 1, EVERY)]
        shares = [points[share::PROCESSES] for share in range(PROCESSES)]
        tried = [
            each for share in pool.map(try_lanes, servers, shares, [scene] * PROCESSES) for each in share
        ]
    reached = [each for each in tried if each.struck != "nothing: "]
    with capsys.disabled():
        sys.stdout.write(f"\n{table(f'live crash points, {scene}', reached)}\n")
    assert not failures(tried), "\n".join(failures(tried)[:10])
    assert {each.service for each in reached} == (set(SERVICES) if scene == "reference" else {"worker"})
    assert len(reached) > 0.8 * len(points)
