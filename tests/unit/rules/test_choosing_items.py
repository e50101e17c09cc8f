"""Which items of a map run again where a rerun names some of them, and what keeps it from being done."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from flowengine.execution.records import MapRecord, NodeError, NodeRecord
from flowengine.execution.rules.maps.choosing import (
    ChosenItems,
    EndedItem,
    KnownItems,
    choose,
    record_of_all,
    record_of_chosen,
)
from flowengine.execution.rules.maps.ending import Failure, items_ended
from flowengine.execution.rules.maps.opening import reopened
from flowengine.execution.rules.maps.progress import Far, Next, due
from flowengine.execution.rules.readiness import records_of
from flowengine.execution.rules.steering.forking import fork_of
from flowengine.execution.rules.steering.rerunning import Rerun, Wanted, maps_to_know, rerun_of
from flowengine.workflow.maps.policy import MapPolicy
from flowengine.workflow.policy import Policy
from tests.support.checks.reference_model import Graph
from tests.support.rigs.harness import plan_of
from tests.unit.execution.rule_cases import BROKEN
from tests.unit.rules.world import with_policies

# Of six items a, b, c have completed, d and e have failed, f has not run.
KNOWN = KnownItems(
    6,
    {key: index for index, key in enumerate("abcdef")},
    completed=(0, 1, 2),
    ended={
        0: EndedItem(has_failed=False, answered=2, counted=5000),
        1: EndedItem(has_failed=False),
        3: EndedItem(has_failed=True, answered=1),
        4: EndedItem(has_failed=True),
    },
)


@pytest.mark.proves("map-items-again")
@pytest.mark.parametrize(
    ("keys", "with_unfinished", "chosen"),
    [
        ("a", False, ChosenItems(((0, 3),), reused=2, stays=2, out=1, freed=5000)),
        ("ba", False, ChosenItems(((0, 3), (1, 1)), reused=1, stays=2, out=1, freed=5000)),
        ("d", False, ChosenItems(((3, 1),), reused=3, stays=1, out=1)),
        ("de", False, ChosenItems(((3, 1), (4, 0)), reused=3, stays=0, out=1)),
        ("f", False, ChosenItems(((5, 0),), reused=3, stays=2, out=0)),
        ("b", True, ChosenItems(((1, 1), (3, 1), (4, 0), (5, 0)), reused=2)),
        ("f?", False, ChosenItems(((5, 0),), reused=3, stays=2, out=0)),
    ],
)
def test_exactly_the_items_that_are_named_run(keys: str, with_unfinished: bool, chosen: ChosenItems) -> None:
    """In the mode `failed` with all that have no result. What has completed has another idempotency key."""
    assert choose(KNOWN, keys, with_unfinished=with_unfinished) == chosen


def test_an_item_that_was_to_run_again_and_did_not_has_the_key_that_it_was_to_have() -> None:
    """Another call with the key of one that was answered gives that answer."""
    known = replace(KNOWN, answered={5: 4, 3: 9})
    assert choose(known, "df", with_unfinished=False).left == ((3, 1), (5, 4))


def test_an_item_that_is_not_named_again_before_it_has_run_keeps_its_number() -> None:
    """It rests, and has that number whenever it runs."""
    known = replace(KNOWN, answered={5: 4, 3: 9, 0: 2})
    chosen = choose(known, "d", with_unfinished=False)
    assert (chosen.left, chosen.out, chosen.resting) == (((3, 1),), 1, ((5, 4),))
    assert choose(known, "d", with_unfinished=True).resting == ()


def test_the_record_says_what_stays_until_another_run_begins() -> None:
    """The numbers of a run before are gone."""
    record = MapRecord(6, 2, 1, kept=1, completed=3, failed=2, max_ms=60_000, until=70_000)
    chosen = record_of_chosen(record, choose(KNOWN, "ad", with_unfinished=False))
    assert chosen == MapRecord(6, 2, 1, kept=3, again=True, chosen=True, stays=1, out=1, max_ms=60_000)
    opened = reopened(chosen, ((0, 3), (3, 1)), 5)
    assert opened == replace(chosen, chosen=False, until=60_005)
    assert record_of_all(opened) == MapRecord(6, 2, 1, kept=3, again=True, max_ms=60_000, until=60_005)


@pytest.mark.parametrize(
    ("record", "far", "wanted"),
    [
        # Of six items one had failed, one did not run; two run, one at a time.
        (MapRecord(6, 1, 0, kept=3, stays=1, out=1), Far(0, 0, 1), 1),
        (MapRecord(6, 1, 0, kept=3, stays=1, out=1), Far(1, 1, 1), 1),
        (MapRecord(6, 1, 0, kept=3, stays=1, out=1), Far(1, 1, 2), "end"),
        (MapRecord(6, 1, 0, kept=3, stays=1, out=1), Far(2, 2, 1), "end"),
        (MapRecord(6, 1, 2, kept=4, stays=0, out=1), Far(0, 0, 1), 1),
        (MapRecord(6, 1, 2, kept=3, stays=0, out=1), Far(1, 1, 2), "end"),
        (MapRecord(6, 1, 3, kept=3, stays=1, out=1), Far(1, 1, 2), 1),
    ],
)
def test_what_had_failed_keeps_nothing_from_running_again(record: MapRecord, far: Far, wanted: Next) -> None:
    """A new failure beyond what may fail does."""
    assert due(record, far, 0) == wanted


@pytest.mark.parametrize(
    ("record", "failed", "says"),
    [
        (MapRecord(6, kept=4), 0, None),
        (MapRecord(6, tolerated=1, kept=3, out=1), 0, None),
        (MapRecord(6, kept=3, out=1), 0, "1 of 6 items did not run"),
        (
            MapRecord(6, tolerated=1, kept=3, stays=1, out=1),
            1,
            "1 of 6 items failed, 1 may: 'd'; 1 did not run",
        ),
        (MapRecord(6, kept=4, stays=1), 1, "1 of 6 items failed: 'd'; 'd' with boom"),
    ],
)
def test_what_has_not_run_counts_as_failed(record: MapRecord, failed: int, says: str | None) -> None:
    """So a map in which items are missing does not complete, unless so many may fail."""
    failures = [Failure("d", NodeError("boom", "on purpose"))] * failed
    ended = items_ended(record, Far(2, 2, failed), failures, 0)
    assert ended.completed == record.kept + 2 - failed
    assert (ended.error and ended.error.message[: len(says or "")]) == says


# -- the rerun

GRAPH: Graph = {"list": (), "each": ("list",), "below": ("each",), "other": ()}
EACH = NodeRecord(status="completed", attempt=1, dispatch=1, map=MapRecord(6, 0, 0, completed=6))
DONE = NodeRecord(status="completed", attempt=1, dispatch=1)
STORED = {"list": DONE, "each": EACH, "below": DONE, "other": DONE}
SOME = {"each": ("a", "d")}
PLAN = with_policies(plan_of(GRAPH), {"each": Policy(map=MapPolicy("{}"))})


def of(wanted: Wanted, known: KnownItems = KNOWN, **stored: NodeRecord) -> Rerun:
    """What such a rerun does."""
    return rerun_of(PLAN, records_of({**STORED, **stored}), wanted, {"each": known})


def hindrances(found: Rerun) -> list[tuple[str, str, str, str | None]]:
    """What cannot be done."""
    return [(each.node, each.field, each.code, each.item) for each in found.not_possible]


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_a_map_begins_with_the_items_and_all_below_it(status: str) -> None:
    """What is beside and above stays, and so do the map's other items."""
    found = of(Wanted("from", items=SOME), each=replace(EACH, status=status))
    assert {PLAN.nodes[at].id for at in found.reset} == {"each", "below"}
    assert found.keeps == {PLAN.index["each"]}
    assert found.items == {PLAN.index["each"]: choose(KNOWN, SOME["each"], with_unfinished=False)}
    assert found.not_possible == ()


def test_the_mode_failed_runs_what_has_no_result_besides() -> None:
    """The items that are named, and those that have not completed."""
    found = of(Wanted("failed", items=SOME), each=replace(EACH, status="failed", error=BROKEN))
    assert [index for index, _ in found.items[PLAN.index["each"]].left] == [0, 3, 4, 5]


def test_only_ended_maps_that_are_named_have_to_be_known() -> None:
    """With the number of their items."""
    wanted = Wanted("from", items={"each": ("a",), "below": ("b",), "nobody": ("c",)})
    assert maps_to_know(PLAN, records_of(STORED), wanted) == {"each": 6}
    still_open = {**STORED, "each": replace(EACH, status="open")}
    assert maps_to_know(PLAN, records_of(still_open), wanted) == {}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted("from", items={"eachh": ("a",)}), ("eachh", "items", "unknown_node", None)),
        (Wanted("from", items={"other": ("a",)}), ("other", "items", "not_a_map", None)),
        (Wanted("from", items={"each": ("a", "x")}), ("each", "items", "unknown_item", "x")),
        (Wanted("from", skip=("each",), items=SOME), ("each", "skip", "also_skipped", None)),
        (Wanted("from", ("each",), items=SOME), ("each", "items", "all_items", None)),
        (Wanted("from", ("list",), items=SOME), ("each", "items", "all_items", None)),
        (Wanted("from", readers=("each",), items=SOME), ("each", "items", "all_items", None)),
        (Wanted("from", skip=("list",), items=SOME), ("each", "items", "all_items", None)),
    ],
)
def test_what_cannot_be_done_is_named(wanted: Wanted, expected: tuple[str, str, str, str | None]) -> None:
    """A node or an item that is not there, and a map that begins with all of its items for another reason."""
    assert hindrances(of(wanted))[0] == expected


def test_a_map_whose_items_were_never_known_has_none_to_run() -> None:
    """It failed, or was skipped, before."""
    found = of(Wanted("from", items=SOME), each=NodeRecord(status="failed", error=BROKEN))
    assert hindrances(found) == [("each", "items", "no_items", None)]


def test_why_all_of_its_items_run_is_told() -> None:
    """With what to do."""
    (found,) = of(Wanted("from", ("list",), items=SOME)).not_possible
    assert found.message == (
        "'each' begins with all of its items, because 'list' above it begins again: leave it out of 'items'"
    )


# -- the fork


def test_a_fork_copies_a_map_of_which_some_items_run() -> None:
    """It is taken, and begins again."""
    found = fork_of(PLAN, PLAN, STORED, Wanted("from", items=SOME), {"each": KNOWN})
    each = PLAN.index["each"]
    assert found.rerun.keeps == set(found.rerun.items) == {each}
    assert set(found.taken) == {"list", "other", "each"}
    assert found.anew == ()


def test_a_map_that_still_runs_cannot_be_copied() -> None:
    """The message says so."""
    stored = {**STORED, "each": replace(EACH, status="open"), "below": NodeRecord()}
    found = fork_of(PLAN, PLAN, stored, Wanted("from", items=SOME))
    (hindered,) = found.rerun.not_possible
    assert (hindered.code, "its items still run" in hindered.message) == ("no_items", True)
