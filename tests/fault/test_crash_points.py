"""Every crash point: stop at the n-th Redis command of any service, in four ways, for every n.

The reference workflow has a diamond with a join, a branch that fails in the first run and is retried
in the second, and a node whose worker dies the first time; it is run once noted and once unnoted. A second
workflow has rules, conditions and retries. In a third one a node hangs until its deadline: there the
orchestrator and its timer loop are stopped, from the deadline on. A fourth one is cancelled, or stopped by an
`end`, while nodes run, wait and are queued, or deleted by force. A fifth one has outputs and hooks of both
kinds. A sixth one is run again once it has completed, from two nodes and without the one below them. In a
seventh one operators pause it, end nodes, and let it go on. An eighth one has a `callback_url`, whose
receiver refuses the results once. Wherever it is struck, each ends, with the right results, and every
invariant holds. The client repeats what it gets no answer to, with the same idempotency key: what it asks for
is done once.

CI tries every point in all four ways, and those of the scenes in BY_TURNS in two, by turns. `just fault`
tries all: `FLOWENGINE_CRASH_POINTS_EVERY=1` does so, and `=5` tries every fifth, in all four ways.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Final, Literal, TypeAlias, TypeVar, get_args

import pytest

from tests.fault.crash_scenes.delivery import Delivered
from tests.fault.crash_scenes.overdue import Overdue
from tests.fault.crash_scenes.reference import Hooked, Reference, Ruled
from tests.fault.crash_scenes.report import (
    COUNTED_PASSES,
    SERVICES,
    Tried,
    failures,
    table,
    told,
)
from tests.fault.crash_scenes.steering import Deleted, Rerun, Steered, Stopped
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
]
STRUCK: Final[dict[Scene, frozenset[str]]] = {
    "overdue": frozenset({"orchestrator"}),
    "ended": frozenset({"orchestrator", "worker"}),
}
"""The services that are struck, where these are not all."""

LANES = 2
EVERY = int(os.environ.get("FLOWENGINE_CRASH_POINTS_EVERY", "0"))
"""Points are tried at this distance, in all four ways. 0: as CI does."""
BY_TURNS: Final[frozenset[Scene]] = frozenset({"hooked", "deleted", "rerun", "steered", "delivered"})
"""Scenes of which CI strikes each point in two ways only, by turns: they go over much that the others do."""


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


def try_points(url: str, points: Sequence[tuple[Way, int]], scene: Scene) -> list[Tried]:
    """Strike at each of the points, one pass each."""
    tried = []
    with silence():
        for way, at in points:
            gate = Gate(at=at, way=way)
            wrong = one_pass(url, gate, scene)
            tried.append(Tried(way, at, gate.struck or "nothing: ", wrong))
    return tried


def ways_at(at: int, scene: Scene) -> Sequence[Way]:
    """The ways in which a point is struck."""
    if EVERY or scene not in BY_TURNS:
        return WAYS
    return WAYS[at % 2 :: 2]


def count_commands(url: str, scene: Scene) -> int:
    """How many commands a pass takes that nothing stops."""
    gate = Gate()
    with silence():
        assert one_pass(url, gate, scene) is None
    return gate.count


@pytest.mark.proves(
    "crash-at-any-command",
    "skip-cascade-crash",
    "rerun-crash",
    "overrule-crash",
    "pause-crash",
    "delivery-crash",
)
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("scene", get_args(Scene))
def test_the_workflow_survives_every_crash_point(
    private_valkey: Callable[[], Valkey], capsys: pytest.CaptureFixture[str], scene: Scene
) -> None:
    """No execution is lost, none is wrong, and no invariant is broken, wherever it is stopped: every point,
    in all four ways, in CI as well."""
    urls = [private_valkey().url for _ in range(LANES)]
    commands = min(count_commands(urls[0], scene) for _ in range(COUNTED_PASSES))
    points = [(way, at) for at in range(1, commands + 1, EVERY or 1) for way in ways_at(at, scene)]
    lanes = [points[lane::LANES] for lane in range(LANES)]
    with ProcessPoolExecutor(LANES, mp_context=multiprocessing.get_context("spawn")) as pool:
        tried = [each for lane in pool.map(try_points, urls, lanes, [scene] * LANES) for each in lane]
    with capsys.disabled():
        sys.stdout.write(f"\n{table(f'crash points, {scene}', tried)}\n")
    assert not failures(tried), "\n".join(failures(tried)[:10])
    assert len(tried) == len(points)
    assert {each.service for each in tried} == STRUCK.get(scene, set(SERVICES))
