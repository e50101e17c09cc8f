"""Every crash point: stop at the n-th Redis command of any service, in four ways, for every n.

The reference workflow has a diamond with a join, a branch that fails in the first run and is retried
in the second, and a node whose worker dies the first time. Wherever it is stopped, it ends, with the
right results, and every invariant holds.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

import pytest

from flowengine.errors import FlowEngineError, WrongStateError
from flowengine.plugin import Context, HandlerError
from tests.fault.crash_report import DYING, FAILING, GRAPH, SERVICES, Tried, failures, table
from tests.support.faults import WAYS, Gate, ProcessDied, Way
from tests.support.harness import Harness, plan_of, silence
from tests.support.invariants import check_everything
from tests.support.reference_model import expected_values, final_statuses
from tests.support.valkey import Valkey

T = TypeVar("T")

LANES = 2
EVERY = int(os.environ.get("FLOWENGINE_CRASH_POINTS_EVERY", "1"))


class Reference:
    """One pass of the reference workflow over a stack that a gate stops somewhere.

    `quick`: its nodes read nothing and are taken for quick, so that they begin unnoted.
    """

    def __init__(self, url: str, gate: Gate, *, quick: bool = False) -> None:
        self.quick = quick
        self.harness = Harness(url, gate=gate)
        if quick:
            self.harness.be_quick()
        self.harness.script = self._script
        self._killed = False

    def _script(self, context: Context) -> None:
        if context.node_id == FAILING and context.run == 1:
            raise HandlerError("boom", "failed on purpose")
        if context.node_id == DYING and not self._killed:
            self._killed = True
            self.harness.workers[0].line.dead = True

    def run(self) -> None:
        """Both runs, then everything that must hold."""
        execution = self._api(lambda: self.harness.create(plan_of(GRAPH, reading=not self.quick)))
        self._trigger(execution)
        self._to_the_end()
        view = self._api(lambda: self.harness.api.executions.status(execution))
        assert view.status == "failed"
        assert {n.id: n.status for n in view.nodes} == final_statuses(GRAPH, {FAILING}.__contains__)
        check_everything(self.harness.client)
        self._trigger(execution)
        self._to_the_end()
        expected = dict.fromkeys(GRAPH, 1) if self.quick else expected_values(GRAPH)
        assert self._api(lambda: self.harness.results(execution)) == expected
        assert self._api(lambda: self.harness.api.executions.status(execution)).status == "completed"
        check_everything(self.harness.client)

    def _trigger(self, execution: str) -> None:
        # A client that got no answer asks again; then it may learn that the first was heard.
        with contextlib.suppress(WrongStateError):
            self._api(lambda: self.harness.trigger(execution))

    def _api(self, ask: Callable[[], T]) -> T:
        for _ in range(2):
            try:
                return ask()
            except WrongStateError:
                raise
            except (FlowEngineError, ProcessDied):
                if self.harness.api.line.dead:
                    self.harness.api.reborn()
        return ask()

    def _to_the_end(self) -> None:
        self.harness.drain()
        running = self.harness.client.zrange("fe:index:running", 0, -1)
        assert not running, "did not end without the sweep"
        for _ in range(2):
            self._loops()
            self.harness.drain()
        assert self.harness.orchestrators[0].sweep.repaired == 0

    def _loops(self) -> None:
        """A turn of the timer loop and of the sweep, which survive what strikes them."""
        process = self.harness.orchestrators[0]
        for turn in (process.timers.fire_due, process.sweep.run):
            try:
                turn()
            except FlowEngineError:
                continue
            except ProcessDied:
                process.reborn()


def one_pass(url: str, gate: Gate, *, quick: bool) -> str | None:
    """What went wrong, or None."""
    reference = Reference(url, gate, quick=quick)
    try:
        reference.run()
    except AssertionError as error:
        return str(error)
    finally:
        reference.harness.client.flushall()
        reference.harness.close()
    return None


def try_points(url: str, points: Sequence[tuple[Way, int]], quick: bool) -> list[Tried]:
    """Strike at each of the points, one pass each."""
    tried = []
    with silence():
        for way, at in points:
            gate = Gate(at=at, way=way)
            wrong = one_pass(url, gate, quick=quick)
            tried.append(Tried(way, at, gate.struck or "nothing: ", wrong))
    return tried


@pytest.mark.slow
@pytest.mark.timeout(170)
@pytest.mark.parametrize("quick", [False, True], ids=["noted", "unnoted"])
def test_the_workflow_survives_every_crash_point(
    private_valkey: Callable[[], Valkey], capsys: pytest.CaptureFixture[str], quick: bool
) -> None:
    """No execution is lost, none is wrong, and no invariant is broken, wherever it is stopped."""
    urls = [private_valkey().url for _ in range(LANES)]
    whole = Gate()
    with silence():
        assert one_pass(urls[0], whole, quick=quick) is None
    points = [(way, at) for at in range(1, whole.count + 1, EVERY) for way in WAYS]
    lanes = [points[lane::LANES] for lane in range(LANES)]
    with ProcessPoolExecutor(LANES, mp_context=multiprocessing.get_context("spawn")) as pool:
        tried = [each for lane in pool.map(try_points, urls, lanes, [quick] * LANES) for each in lane]
    with capsys.disabled():
        title = "crash points, quick nodes" if quick else "crash points"
        sys.stdout.write(f"\n{table(title, tried)}\n")
    assert not failures(tried), "\n".join(failures(tried)[:10])
    assert len(tried) == len(points)
    assert {each.service for each in tried} == set(SERVICES)
