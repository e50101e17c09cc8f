"""The place of a node that waits for its turn, as it is shown: which nodes have it, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from flowengine.engine.limits import shown_places
from flowengine.store.limits import lines
from flowengine.store.limits.lines import RedisLines
from tests.support.checks.reference_model import Says
from tests.support.rigs.harness import Harness, plan_of

NAMES = ("a", "b", "c")
FAN: dict[str, tuple[str, ...]] = {**dict.fromkeys(NAMES, ()), "end": NAMES}
KEYED = {name: Says(limit=1, key="db") for name in NAMES}
MINUTE_MS = 60_000

Places = dict[str, int | msgspec.UnsetType | None]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of how many nodes places are read, each time that some are."""
    seen: list[int] = []
    places = RedisLines.places

    def counted(self: RedisLines, standing: Sequence[tuple[str, str]]) -> list[int | None]:
        seen.append(len(standing))
        return places(self, standing)

    monkeypatch.setattr(RedisLines, "places", counted)
    return seen


def begin(harness: Harness, says: dict[str, Says] | None = None) -> str:
    """An execution whose nodes stand in line, and the first of which runs."""
    execution = harness.begin(plan_of(FAN, says=says or KEYED))
    harness.start_executions()
    for entry in [entry for entry in harness.waiting("orchestrator") if entry.actor == "line_moved"]:
        harness.deliver(harness.orchestrators[0], entry)
    return execution


def places(harness: Harness, execution: str) -> Places:
    """The places of those that wait."""
    nodes = harness.api.executions.status(execution).nodes
    return {node.id: node.waiting_for.place for node in nodes if node.waiting_for}


def test_a_place_counts_those_that_run_and_all_executions(harness: Harness, asked: list[int]) -> None:
    """In one read for all nodes of an answer. The node alone has the same."""
    first, second = begin(harness), begin(harness)
    assert places(harness, first) == {"b": 2, "c": 3}
    assert places(harness, second) == {"a": 4, "b": 5, "c": 6}
    assert asked == [2, 3]
    alone = harness.api.executions.node(second, "b").waiting_for
    assert alone
    assert alone.place == 5


def test_those_that_wait_to_start_have_a_place_too(harness: Harness) -> None:
    """Those that have started are not in that line."""
    execution = begin(harness, {name: Says(rate=(1, MINUTE_MS, "api")) for name in NAMES})
    assert places(harness, execution) == {"b": 1, "c": 2}


def test_nothing_is_read_where_no_shown_node_waits(harness: Harness, asked: list[int]) -> None:
    """Neither of an execution without limits, nor where such nodes are left out."""
    execution, plain = begin(harness), begin(harness, {"a": Says()})
    harness.api.executions.status(plain)
    harness.api.executions.status(execution, only=frozenset())
    harness.api.executions.status(execution, only=frozenset({"queued"}))
    harness.api.executions.node(execution, "a")
    assert asked == []


def test_so_many_places_are_read_and_no_more(
    harness: Harness, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the first nodes; the others have none, which is not null."""
    execution = begin(harness)
    monkeypatch.setattr(shown_places, "MOST_PLACES", 1)
    assert places(harness, execution) == {"b": 2, "c": msgspec.UNSET}
    assert asked == [1]


def test_a_place_far_behind_is_null(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """As that of one which has left between two reads: Redis looks through the beginning of a line only."""
    execution = begin(harness)
    monkeypatch.setattr(lines, "SEARCHED", 2)
    assert places(harness, execution) == {"b": 2, "c": None}
    harness.client.rename("fe:line:n:db", "fe:line:n:left")
    assert places(harness, execution) == {"b": None, "c": None}
    harness.client.rename("fe:line:n:left", "fe:line:n:db")
