"""Every trigger rule under every combination of ends, beside the table of LANGUAGE section 3.

The table is copied here as it stands there: in the counts C, T, F and S of n dependencies.
"""

from __future__ import annotations

import operator
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Final, Literal, NamedTuple, TypeAlias

import pytest

from flowengine.execution.records import NodeRecord
from flowengine.execution.reports import Skipped
from flowengine.execution.rules.readiness import Records, decidable, ends_of, records_of
from flowengine.execution.rules.trigger_rules import Ends, ruling, ruling_after_completions
from flowengine.workflow.plan import Plan
from flowengine.workflow.policy import TRIGGER_RULES, Policy, TriggerRule
from tests.support.rigs.harness import plan_of
from tests.unit.execution.rule_cases import COMPLETED, FAILED
from tests.unit.rules.world import TOLERATING, World, ruled, with_policies

Fate: TypeAlias = Literal["completed", "tolerated", "failed", "skipped", "cancelled", "failing", "left"]
"""How a dependency stands. `failing`: failed at once, and something above it has not ended."""

ENDED: Final[tuple[Fate, ...]] = ("completed", "tolerated", "failed", "skipped")
OPEN: Final[tuple[Fate, ...]] = ("failing", "left")
LETTERS: Final = {"completed": "C", "tolerated": "T", "failed": "F", "skipped": "S"}


class Row(NamedTuple):
    """When a node runs, fails and is skipped, once all that it depends on has ended."""

    runs: str
    fails: str
    skipped: str


TABLE: Final[dict[TriggerRule, Row]] = {
    "all_success": Row("F=0, S=0", "F>=1", "F=0, S>=1"),
    "none_failed": Row("F=0", "F>=1", "never"),
    "none_failed_min_one_success": Row("F=0, C+T>=1", "F>=1", "S=n"),
    "all_done_min_one_success": Row("C+T>=1", "C+T=0, F>=1", "S=n"),
    "one_success": Row("C>=1", "C=0, F+T>=1", "S=n"),
    "all_done": Row("always", "never", "never"),
    "one_failed": Row("F>=1", "never", "F=0"),
    "all_failed": Row("F=n", "never", "F<n"),
}
FAILS_AT_ONCE: Final = "all_success"
RUNS_AT_ONCE: Final = "one_success"

_COMPARISON: Final = re.compile(r"([CTFS](?:\+[CTFS])*)(=|>=|<)(n|\d)")
_OPERATORS: Final = {"=": operator.eq, ">=": operator.ge, "<": operator.lt}


def holds(cell: str, fates: Sequence[Fate]) -> bool:
    """Whether a cell of the table holds for these ends."""
    if cell in ("always", "never"):
        return cell == "always"
    counts = Counter(LETTERS[fate] for fate in fates)
    comparisons = [found for part in cell.split(", ") if (found := _COMPARISON.fullmatch(part))]
    assert len(comparisons) == cell.count(",") + 1, f"not understood: {cell}"
    return all(
        _OPERATORS[found[2]](
            sum(counts[letter] for letter in found[1].split("+")),
            len(fates) if found[3] == "n" else int(found[3]),
        )
        for found in comparisons
    )


def expected(rule: TriggerRule, fates: Sequence[Fate]) -> Literal["run", "fail", "skip"] | None:
    """What section 3 says; None while that is open."""
    if "cancelled" in fates:
        return None
    if rule == FAILS_AT_ONCE and {"failed", "failing"} & set(fates):
        return "fail"
    if rule == RUNS_AT_ONCE and "completed" in fates:
        return "run"
    if set(fates) & set(OPEN):
        return None
    row = TABLE[rule]
    return "run" if holds(row.runs, fates) else "fail" if holds(row.fails, fates) else "skip"


def combinations(*fates: Fate) -> Iterator[tuple[Fate, ...]]:
    """Every combination for one to three dependencies."""
    for count in (1, 2, 3):
        yield from product(fates, repeat=count)


# -- the table itself


@pytest.mark.parametrize("rule", TABLE)
def test_exactly_one_cell_of_a_row_holds(rule: TriggerRule) -> None:
    """The copy is complete, and its rules are those that documents may name."""
    for fates in combinations(*ENDED):
        assert sum(holds(cell, fates) for cell in TABLE[rule]) == 1, fates
    assert tuple(TABLE) == TRIGGER_RULES


# -- by numbers


def ends(fates: Sequence[Fate]) -> Ends:
    """The numbers of these fates."""
    counts = Counter(fates)
    return Ends(
        completed=counts["completed"],
        tolerated=counts["tolerated"],
        failed=counts["failed"] + counts["failing"],
        skipped=counts["skipped"],
        cancelled=counts["cancelled"],
        left=counts["left"] + counts["failing"],
    )


@pytest.mark.parametrize("rule", TABLE)
def test_a_rule_says_by_numbers_what_the_table_says(rule: TriggerRule) -> None:
    """Every combination of every fate, in every order."""
    for fates in combinations(*ENDED, *OPEN, "cancelled"):
        assert ruling(rule, ends(fates)) == expected(rule, fates), fates


@pytest.mark.parametrize("rule", TABLE)
@pytest.mark.parametrize("parents", [1, 2, 3])
def test_what_follows_from_completions_alone_is_what_the_table_says(rule: TriggerRule, parents: int) -> None:
    """It is asked without reading the dependencies."""
    completions: list[Fate] = ["completed"] * parents
    assert ruling_after_completions(rule, parents) == expected(rule, completions)


# -- by records


RECORDS: Final[dict[Fate, NodeRecord]] = {
    "completed": NodeRecord(status="completed", attempt=1, dispatch=1),
    "tolerated": NodeRecord(status="failed", attempt=1, dispatch=1, tolerated=True),
    "failed": NodeRecord(status="failed", attempt=1, dispatch=1),
    "skipped": NodeRecord(status="skipped", skipped="when"),
    "cancelled": NodeRecord(status="cancelled"),
    "failing": NodeRecord(status="failed", unsettled=True),
}
LEFT: Final = (
    NodeRecord(),
    NodeRecord(status="queued", dispatch=1),
    NodeRecord(status="waiting", dispatch=1),
)


def joined(rule: TriggerRule, parents: int) -> Plan:
    """One node `j` below so many."""
    names = [f"p{number}" for number in range(parents)]
    return with_policies(plan_of({**dict.fromkeys(names, ()), "j": names}), {"j": ruled(rule)})


def standing(fates: Sequence[Fate], left: NodeRecord) -> Records:
    """Records of dependencies with these fates. `left`: that of one that has not ended."""
    return records_of({f"p{number}": RECORDS.get(fate, left) for number, fate in enumerate(fates)})


@pytest.mark.parametrize("rule", TABLE)
def test_a_node_can_be_decided_exactly_when_the_table_says_something(rule: TriggerRule) -> None:
    """By what is stored, so that a later look finds it; pending, queued and waiting are all open."""
    for fates in combinations(*ENDED, *OPEN, "cancelled"):
        plan = joined(rule, len(fates))
        position = plan.index["j"]
        for left in LEFT if "left" in fates else LEFT[:1]:
            records = standing(fates, left)
            assert ends_of(plan, records, position) == ends(fates)
            assert (position in decidable(plan, records)) == (expected(rule, fates) is not None), fates


@pytest.mark.parametrize("rule", TABLE)
@pytest.mark.parametrize("status", ["queued", "waiting", "completed", "failed", "skipped", "cancelled"])
def test_what_is_decided_is_not_decided_again(rule: TriggerRule, status: Literal["queued"]) -> None:
    """A later end of another dependency changes nothing of it."""
    plan = joined(rule, 2)
    for fates in product(ENDED, repeat=2):
        stored = {f"p{number}": RECORDS[fate] for number, fate in enumerate(fates)}
        records = records_of({**stored, "j": NodeRecord(status=status)})
        assert plan.index["j"] not in decidable(plan, records)


# -- in a run


class Played(NamedTuple):
    """One node `j` below nodes of these fates, in a run."""

    world: World
    fates: tuple[Fate, ...]

    @property
    def names(self) -> dict[str, Fate]:
        """The dependencies and their fates."""
        return {f"p{number}": fate for number, fate in enumerate(self.fates)}


def play(rule: TriggerRule, fates: tuple[Fate, ...]) -> Played:
    """Let the dependencies end so, in the document's order: the order of what is independent is tried by
    the orders of the fates.

    A `failing` one is below a node that has failed and one that is still in flight.
    """
    graph: dict[str, tuple[str, ...]] = {}
    policies = {"j": ruled(rule)}
    for number, fate in enumerate(fates):
        above = (f"x{number}", f"y{number}") if fate == "failing" else ()
        graph |= dict.fromkeys(above, ()) | {f"p{number}": above}
        if fate == "tolerated":
            policies[f"p{number}"] = TOLERATING
    world = World({**graph, "j": tuple(f"p{number}" for number in range(len(fates)))}, policies)
    world.trigger()
    for number, fate in enumerate(fates):
        match fate:
            case "completed":
                world.report(f"p{number}", COMPLETED)
            case "failed" | "tolerated":
                world.report(f"p{number}", FAILED)
            case "skipped":
                world.report(f"p{number}", Skipped())
            case "failing":
                world.report(f"x{number}", FAILED)
    return Played(world, fates)


DECIDED: Final = {"run": "queued", "fail": "failed", "skip": "skipped", None: "pending"}
ONCE_OPEN: Final[dict[Fate, Fate]] = {"left": "completed", "failing": "failed"}


@pytest.mark.parametrize("rule", TABLE)
def test_a_run_decides_what_the_table_says_and_never_hangs(rule: TriggerRule) -> None:
    """At once where the rule is one of those two, else at the last end; then everything ends."""
    for fates in combinations(*ENDED, *OPEN):
        world, _ = play(rule, fates)
        settled = "failing" if "left" in fates or "failing" in fates else "failed"
        found = DECIDED[expected(rule, fates)]
        assert world.status_of("j") in {found, settled if found == "failed" else found}, fates
        world.end()
        final = expected(rule, [ONCE_OPEN.get(fate, fate) for fate in fates])
        assert world.status_of("j") == ("completed" if final == "run" else DECIDED[final]), fates
        failed = final == "fail" or bool({"failed", "failing"} & set(fates))
        assert world.status == ("failed" if failed else "completed"), fates


@pytest.mark.parametrize("rule", TABLE)
def test_a_node_that_is_skipped_or_fails_by_its_rule_says_so(rule: TriggerRule) -> None:
    """Its reason, or the dependency whose failure it inherits; it has never been tried."""
    for fates in combinations(*ENDED):
        played = play(rule, fates)
        record = played.world.records["j"]
        match expected(rule, fates):
            case "skip":
                wanted = "upstream_skipped" if rule == "all_success" else "trigger_rule"
                assert (record.skipped, record.attempt, record.error) == (wanted, 0, None)
            case "fail":
                assert record.error is not None
                assert record.error.code == "upstream_failed"
                assert played.names[str(record.error.caused_by)] in ("failed", "tolerated"), fates
                assert record.attempt == 0
            case _:
                assert (record.skipped, record.attempt) == (None, 1)


# -- triggered again


@pytest.mark.parametrize("rule", TABLE)
def test_a_second_trigger_ends_as_a_run_in_which_nothing_failed(rule: TriggerRule) -> None:
    """What was tolerated stays so, and a `one_success` that had its success is not repeated."""
    for fates in combinations(*ENDED):
        world, _ = play(rule, fates)
        world.end()
        if world.status != "failed":
            continue
        before = dict(world.records)
        world.trigger()
        repeated = {name for name in before if world.records[name].run == 2}
        stays = rule == "one_success" and "completed" in fates
        assert ("j" in repeated) == (not stays), fates
        assert {name for name in repeated if name != "j"} == {
            f"p{number}" for number, fate in enumerate(fates) if fate == "failed"
        }
        world.end()
        fixed: list[Fate] = ["completed" if fate == "failed" else fate for fate in fates]
        final = expected(rule, fixed)
        assert world.status_of("j") == ("completed" if final == "run" else DECIDED[final]), fates
        assert world.status == ("failed" if final == "fail" else "completed"), fates


@pytest.mark.parametrize("rule", TABLE)
def test_a_second_trigger_decides_anew_by_new_failures(rule: TriggerRule) -> None:
    """What failed fails again: all that was decided is decided the same."""
    for fates in combinations(*ENDED):
        world, names = play(rule, fates)
        world.end()
        if world.status != "failed":
            continue
        before = world.statuses
        world.trigger()
        for number, fate in enumerate(names):
            if fate == "failed":
                world.report(f"p{number}", FAILED)
        world.end()
        assert world.statuses == before, fates


def test_policies_of_these_tests_say_nothing_but_their_rule() -> None:
    """Or another field could be what decides."""
    assert ruled("all_done") == Policy(trigger_rule="all_done")
