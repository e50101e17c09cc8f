"""Maps under any order of messages: twice, late, with processes that die between reading and writing.

After each step every invariant holds: no more items are in flight than may be, what has failed is known. At
the end each item has ended once, as its handler said, and a later run has run what was left and no more. A
rerun of some items, in place or in a new execution, has run exactly these.
`FLOWENGINE_FAULT_SHRINK=1` makes it look for the shortest way to a failure.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Callable
from typing import Final

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from flowengine.engine.commands.rerun import RerunAsked
from flowengine.errors import WrongStateError
from flowengine.execution.rules.dispatching import Sizes
from flowengine.execution.rules.steering.rerunning import Wanted
from flowengine.plugin import Context, HandlerError
from flowengine.queues import ORCHESTRATOR_QUEUE, WORKER_QUEUE
from flowengine.workflow.maps.policy import MapPolicy
from flowengine.workflow.plan import Plan, PlanNode, Task
from flowengine.workflow.policy import Policy, Retry
from tests.property.examples import share_of_examples
from tests.support.checks.invariants import check, check_everything
from tests.support.rigs.harness import Entry, Harness, silence
from tests.support.servers.valkey import Valkey

FIXTURES: Final = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow)
PHASES: Final = (Phase.generate, *([Phase.shrink] if "FLOWENGINE_FAULT_SHRINK" in os.environ else []))
STEPS: Final = 40


class Case(msgspec.Struct, frozen=True):
    """A map: how many items, how many at once, how many may fail, how often each is tried; which fail in the
    first run, and in all tries or only in the first one."""

    items: int
    at_once: int
    tolerated: int
    tries: int
    failing: frozenset[int]
    recovering: frozenset[int]

    def plan(self) -> Plan:
        """The map, and a node below it."""
        spec = {
            "items": list(range(self.items)),
            "max_concurrent": self.at_once,
            "tolerated_failures": self.tolerated,
        }
        said = MapPolicy(msgspec.json.encode(spec).decode())
        config = msgspec.Raw(b'{"inputs":["{{ item }}"]}')
        each = PlanNode("each", (), Task("sum", config, (), 300_000, WORKER_QUEUE))
        after = PlanNode("after", (0,), Task("sum", msgspec.Raw(b'{"inputs":[]}'), (), 300_000, WORKER_QUEUE))
        retry = Retry(max_attempts=self.tries) if self.tries > 1 else None
        return Plan("maps", (each, after), {0: Policy(map=said, retry=retry)})

    def fails(self, run: int, item: int, attempt: int) -> bool:
        """Whether this try of an item fails."""
        if run > 1:
            return False
        return item in self.failing or (item in self.recovering and attempt == 1)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Any map of few items."""
    items = draw(st.integers(0, 7))
    some = st.frozensets(st.integers(0, max(0, items - 1)), max_size=3)
    return Case(
        items,
        draw(st.sampled_from([0, 1, 2, 3, 7])),
        draw(st.integers(0, 2)),
        draw(st.sampled_from([1, 1, 2])),
        draw(some),
        draw(some),
    )


class Moves:
    """What may happen to an execution of a map, at random."""

    def __init__(self, harness: Harness, case: Case, draw: Callable[[int], int]) -> None:
        self.harness = harness
        self.case = case
        self.ran: Counter[tuple[int, str]] = Counter()
        self._draw = draw
        harness.script = self._script
        harness.second_orchestrator()
        self.execution = harness.begin(case.plan())

    def _script(self, context: Context) -> None:
        key = context.idempotency_key.partition("-each-")[2]
        if context.node_id != "each":
            return
        self.ran[context.run, key] += 1
        if self.case.fails(context.run, int(key), context.attempt):
            raise HandlerError("boom", "on purpose")

    def step(self) -> None:
        """One of them."""
        (self._decide, self._decide, self._run, self._run, self._twice, self._die, self._hold, self._pauses)[
            self._draw(8)
        ]()
        check(self.harness.client, self.execution, settled=False)

    def _some(self, queue: str) -> list[Entry]:
        """Up to three messages of one kind that wait, in any order."""
        waiting = self.harness.waiting(queue)
        if not waiting:
            return []
        first = waiting[self._draw(len(waiting))]
        alike = [each for each in waiting if each.actor == first.actor and each.deliveries == 1]
        if first.deliveries > 1 or first.actor not in ("node_finished", "run_node"):
            return [first]
        begin = self._draw(len(alike))
        return alike[begin : begin + 1 + self._draw(3)]

    def _decide(self) -> None:
        entries = self._some(ORCHESTRATOR_QUEUE)
        if entries:
            self.harness.deliver(self.harness.orchestrators[self._draw(2)], *entries)

    def _run(self) -> None:
        entries = self._some(WORKER_QUEUE)
        if entries:
            self.harness.deliver(self.harness.workers[0], *entries[:2])

    def _twice(self) -> None:
        for queue in (ORCHESTRATOR_QUEUE, WORKER_QUEUE):
            for entry in self._some(queue)[:1]:
                if entry.actor in ("node_finished", "run_node"):
                    fields = {"a": entry.actor, "p3": entry.payload}
                    self.harness.client.xadd(self.harness.stream(queue), fields)

    def _die(self) -> None:
        """An orchestrator dies between a reading and what it would write."""
        orchestrator = self.harness.orchestrators[self._draw(2)]
        entries = self._some(ORCHESTRATOR_QUEUE)
        if not entries:
            return

        def die() -> None:
            orchestrator.line.dead = True

        orchestrator.state.skipped, orchestrator.state.between = self._draw(4), die
        self.harness.deliver(orchestrator, *entries)
        orchestrator.state.between = None

    def _hold(self) -> None:
        executions = self.harness.api.executions
        ways = (executions.pause, executions.resume, executions.resume, executions.cancel)
        with contextlib.suppress(WrongStateError):
            ways[self._draw(4)](self.execution)

    def _pauses(self) -> None:
        self.harness.end_pauses()

    def to_the_end(self) -> str:
        """Let it go on; its status."""
        with contextlib.suppress(WrongStateError):
            self.harness.api.executions.resume(self.execution)
        self.harness.drain()
        check_everything(self.harness.client)
        return self.harness.api.executions.status(self.execution).status


@pytest.mark.proves("map-report-twice", "map-at-once", "map-again", "map-items-again", "fork-items")
@settings(max_examples=share_of_examples(60), suppress_health_check=FIXTURES, phases=PHASES)
@given(case=cases(), data=st.data())
def test_a_map_ends_right_whatever_comes_when(valkey: Valkey, case: Case, data: st.DataObject) -> None:
    """The first run may fail or be cancelled, the second completes what it has left; then some items run
    again."""
    with valkey.connect() as client:
        client.flushall()
    harness = Harness(valkey.url)
    harness.resize(Sizes(chunk_nodes=2))
    try:
        with silence():
            moves = Moves(harness, case, lambda most: data.draw(st.integers(0, most - 1)))
            for _ in range(data.draw(st.integers(0, STEPS))):
                moves.step()
            status = moves.to_the_end()
            _judge(moves, status)
            if status != "completed" and data.draw(st.booleans()):
                _judge_second(moves)
            _judge_items(moves, data)
    finally:
        harness.close()


def _ended(moves: Moves) -> dict[int, str]:
    page = moves.harness.api.executions.items(
        moves.execution, "each", statuses=(), begin=0, with_results=False, limit=50, cursor=None
    )
    return {item.index: item.status for item in page.items}


def _judge(moves: Moves, status: str) -> None:
    """How each item has ended, and the map by that."""
    case, ended = moves.case, _ended(moves)
    for index, found in ended.items():
        for_good = index in case.failing or (index in case.recovering and case.tries == 1)
        assert found in ("cancelled", "failed" if for_good else "completed"), (index, found)
    failed = sum(found == "failed" for found in ended.values())
    if status == "completed":
        assert failed <= case.tolerated
        assert "cancelled" not in ended.values()
    if status == "failed":
        assert failed > case.tolerated
    if status == "cancelled":
        assert moves.harness.statuses(moves.execution)["after"] == "cancelled"


def _judge_second(moves: Moves) -> None:
    """What had completed has not run again."""
    node = moves.harness.statuses(moves.execution)["each"]
    completed = {str(index) for index, found in _ended(moves).items() if found == "completed"}
    moves.harness.trigger(moves.execution)
    assert moves.to_the_end() == "completed"
    again = {key for run, key in moves.ran if run == 2}
    if node != "completed":
        assert not again & completed, (node, again, completed)
        assert again == {str(index) for index in range(moves.case.items)} - completed
    found = msgspec.json.decode(moves.harness.api.executions.results(moves.execution).results["each"])
    expected = [index + 1 for index in range(moves.case.items)]
    wrong = [
        value for value, right in zip(found["result"], expected, strict=True) if value not in (right, None)
    ]
    assert not wrong


def _judge_items(moves: Moves, data: st.DataObject) -> None:
    """Exactly the named items run, and those without a result where that is asked for; the others stay."""
    case, before = moves.case, _ended(moves)
    executions = moves.harness.api.executions
    if not before:
        return
    named = data.draw(st.sets(st.integers(0, case.items - 1), min_size=1, max_size=3), label="named")
    with_unfinished, new = data.draw(st.booleans(), label="failed"), data.draw(st.booleans(), label="new")
    keys = tuple(str(index) for index in sorted(named))
    asked = RerunAsked(Wanted("failed" if with_unfinished else "from", items={"each": keys}))
    origin = moves.execution
    moves.ran.clear()
    moves.execution = (executions.fork if new else executions.rerun)(origin, asked).execution_id
    for _ in range(data.draw(st.integers(0, STEPS // 2), label="moves")):
        moves.step()
    status = moves.to_the_end()
    unfinished = {index for index, found in before.items() if found != "completed"}
    chosen = named | unfinished if with_unfinished else named
    again = {int(key) for _, key in moves.ran}
    assert again <= chosen, (again, chosen)
    if status == "cancelled":
        return
    assert again == chosen
    assert _ended(moves) == {**before, **dict.fromkeys(chosen, "completed")}
    missing = len(unfinished - chosen)
    assert status == ("completed" if missing <= case.tolerated else "failed"), (before, chosen)
    if new:
        moves.execution = origin
        assert _ended(moves) == before
