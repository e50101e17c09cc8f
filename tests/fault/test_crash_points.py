"""Every crash point: stop before or after any Redis command of any service, by its death or by an error.

What is struck is a scene: workflows and what clients do with them meanwhile. Each scene's module, in
`tests/fault/crash_scenes`, says what it shows; the first, here, is the reference workflow: a diamond with a
join, a branch that fails in the first run and is retried in the second, and a node whose worker dies the
first time, run once noted and once unnoted, half of its nodes async. Wherever a scene is struck, each
execution ends, with the right results, and every invariant holds. The client repeats what it gets no answer
to, with the same idempotency key: what it asks for is done once.

CI tries every point that differs from others in what it leaves behind (`Gate.apart`): before each exchange
with the server, and after each of its commands that stores something; a process dies once where it stores and
does nothing between. `just fault` tries each command in all
four ways: `FLOWENGINE_CRASH_POINTS_EVERY=1` does so, and `=5` tries every fifth.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Final, Literal, TypeAlias, TypeVar, get_args

import pytest

from tests.fault.crash_scenes.applied import Applied, Chained, Scheduled
from tests.fault.crash_scenes.bulk import RerunTogether
from tests.fault.crash_scenes.called import Called
from tests.fault.crash_scenes.delivery import Delivered
from tests.fault.crash_scenes.groups import (
    Grouped,
    GroupMapped,
    GroupRepeated,
    ItemsApart,
    ItemsOver,
    IterationsApart,
)
from tests.fault.crash_scenes.lining import Lined
from tests.fault.crash_scenes.maps import ItemsAgain, Mapped
from tests.fault.crash_scenes.overdue import Overdue
from tests.fault.crash_scenes.reference import Hooked, Reference, Ruled
from tests.fault.crash_scenes.repeating import Repeating
from tests.fault.crash_scenes.report import (
    COUNTED_PASSES,
    SERVICES,
    Tried,
    failures,
    table,
    told,
)
from tests.fault.crash_scenes.steering import Deleted, Rerun, Steered, Stopped
from tests.fault.crash_scenes.waits import GroupSignalled, Waited
from tests.support.faults import WAYS, Gate, Way
from tests.support.rigs.harness import silence
from tests.support.servers.valkey import Valkey

T = TypeVar("T")
Scene: TypeAlias = Literal[
    "noted",
    "unnoted",
    "ruled",
    "hooked",
    "overdue",
    "cancelled",
    "ended",
    "deleted",
    "rerun",
    "steered",
    "delivered",
    "waited",
    "lined",
    "applied",
    "chained",
    "scheduled",
    "repeating",
    "grouped",
    "called",
    "rerun_together",
    "mapped",
    "items_again",
    "items_in_fork",
    "group_mapped",
    "group_repeated",
    "items_apart",
    "iterations_apart",
    "items_over",
    "group_signalled",
]
STRUCK: Final[dict[Scene, frozenset[str]]] = {
    "overdue": frozenset({"orchestrator"}),
    "ended": frozenset({"orchestrator", "worker"}),
}
"""The services that are struck, where these are not all."""

LANES = 2
EVERY = int(os.environ.get("FLOWENGINE_CRASH_POINTS_EVERY", "0"))
"""Commands are struck at this distance, each in all four ways. 0: at every point that differs, as CI does."""

Point: TypeAlias = tuple[Way, int]
Lanes: TypeAlias = tuple[ProcessPoolExecutor, Sequence[str]]
"""Where passes run, and the server of each lane."""


@pytest.fixture(scope="module")
def lanes() -> Iterator[Lanes]:
    """The lanes of all scenes. Each pass leaves its server empty."""
    servers = [Valkey() for _ in range(LANES)]
    for server in servers:
        server.start()
    with ProcessPoolExecutor(LANES, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool, [server.url for server in servers]
    for server in servers:
        server.close()


def one_pass(url: str, gate: Gate, scene: Scene) -> str | None:
    """What went wrong, or None."""
    passing: Overdue | Reference
    match scene:
        case "overdue":
            passing = Overdue(url, gate)
        case "ruled":
            passing = Ruled(url, gate)
        case "hooked":
            passing = Hooked(url, gate)
        case "deleted":
            passing = Deleted(url, gate)
        case "rerun":
            passing = Rerun(url, gate)
        case "steered":
            passing = Steered(url, gate)
        case "delivered":
            passing = Delivered(url, gate)
        case "waited":
            passing = Waited(url, gate)
        case "group_signalled":
            passing = GroupSignalled(url, gate)
        case "lined":
            passing = Lined(url, gate)
        case "applied":
            passing = Applied(url, gate)
        case "chained":
            passing = Chained(url, gate)
        case "scheduled":
            passing = Scheduled(url, gate)
        case "repeating":
            passing = Repeating(url, gate)
        case "grouped":
            passing = Grouped(url, gate)
        case "called":
            passing = Called(url, gate)
        case "rerun_together":
            passing = RerunTogether(url, gate)
        case "mapped":
            passing = Mapped(url, gate)
        case "items_again" | "items_in_fork":
            passing = ItemsAgain(url, gate, new=scene == "items_in_fork")
        case "group_mapped":
            passing = GroupMapped(url, gate)
        case "group_repeated":
            passing = GroupRepeated(url, gate)
        case "items_apart":
            passing = ItemsApart(url, gate)
        case "iterations_apart":
            passing = IterationsApart(url, gate)
        case "items_over":
            passing = ItemsOver(url, gate)
        case "cancelled" | "ended":
            passing = Stopped(url, gate, by=scene)
        case _:
            passing = Reference(url, gate, quick=scene == "unnoted")
    try:
        passing.run()
    except AssertionError as error:
        return told(error)
    finally:
        passing.harness.client.flushall()
        passing.harness.close()
    return None


def try_points(url: str, points: Sequence[Point], scene: Scene) -> list[Tried]:
    """Strike at each of the points, one pass each."""
    tried = []
    with silence():
        for way, at in points:
            gate = Gate(at=at, way=way)
            wrong = one_pass(url, gate, scene)
            tried.append(Tried(way, at, gate.struck or "nothing: ", wrong))
    return tried


def points_of(url: str, scene: Scene) -> list[Point]:
    """Where a pass that nothing stops can be struck: of some passes the one with the fewest commands."""
    gates = [Gate() for _ in range(COUNTED_PASSES)]
    with silence():
        for gate in gates:
            assert one_pass(url, gate, scene) is None
    shortest = min(gates, key=lambda gate: gate.count)
    if not EVERY:
        return shortest.apart
    return [(way, at) for at in range(1, shortest.count + 1, EVERY) for way in WAYS]


@pytest.mark.proves(
    "crash-at-any-command",
    "skip-cascade-crash",
    "rerun-crash",
    "overrule-crash",
    "pause-crash",
    "delivery-crash",
    "wait-crash",
    "line-crash",
    "definition-cut",
    "chain-cut",
    "schedule-cut",
    "crash-between-iterations",
    "group-crash",
    "group-each-crash",
    "item-apart-crash",
    "iteration-apart-crash",
    "call-crash",
    "bulk-again",
    "map-crash",
    "map-items-again",
    "fork-crash",
)
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("scene", get_args(Scene))
def test_the_workflow_survives_every_crash_point(
    lanes: Lanes, capsys: pytest.CaptureFixture[str], scene: Scene
) -> None:
    """No execution is lost, none is wrong, and no invariant is broken, wherever it is stopped."""
    pool, urls = lanes
    points = points_of(urls[0], scene)
    shares = [points[lane::LANES] for lane in range(LANES)]
    tried = [each for share in pool.map(try_points, urls, shares, [scene] * LANES) for each in share]
    with capsys.disabled():
        sys.stdout.write(f"\n{table(f'crash points, {scene}', tried)}\n")
    assert not failures(tried), "\n".join(failures(tried)[:10])
    assert len(tried) == len(points)
    assert {each.service for each in tried} == STRUCK.get(scene, set(SERVICES))
