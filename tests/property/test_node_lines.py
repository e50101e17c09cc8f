"""Nodes and groups of which few run at once, under keys that workers make when they are due.

Each execution has a node and a group whose keys read a node before them, and the group has a node whose key
does so too. What the keys come to is known beforehand: who runs is counted by that, and not by what the
engine says of its lines. After each step no more run than may, nobody has passed one that came before it
under the same key, and every invariant holds; in the end all have run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule, run_state_machine_as_test

from flowengine.plugin import Context, HandlerError
from tests.property.test_lines import EXAMPLES, EXECUTIONS, PHASES, STEPS, LineMachine
from tests.support.checks.invariants import Stored, check_moment
from tests.support.group_plans import adds, group, plan_from
from tests.support.servers.valkey import Valkey

LATE: Final = "{{ a.result % 2 }}"
DAY: Final = 86_400


class Stander(NamedTuple):
    """A node in a line: once in each attempt, in each time that it joins."""

    execution: str
    node: str
    ticket: int


class Standing(NamedTuple):
    """Who stands under one key, and which of them are in flight or open."""

    all: frozenset[Stander]
    flying: frozenset[Stander]


class NodeLineMachine(LineMachine):
    """Some executions of one workflow, whose nodes stand in the lines of two keys."""

    def __init__(self) -> None:
        super().__init__()
        self.value: dict[str, int] = {}
        self.inner_fails = False
        self.seen: dict[Stander, int] = {}
        """At which look each was seen in its line first."""
        self.before: dict[str, Standing] = {}
        self.looks = 0

    def _script(self, context: Context) -> None:
        if context.node_id == "x" and self.inner_fails and context.run == 1:
            raise HandlerError("boom", "failed on purpose")
        super()._script(context)

    @initialize(
        limit=st.integers(1, 2),
        fails=st.integers(0, 2),
        inner_fails=st.booleans(),
        apart=st.booleans(),
        rated=st.booleans(),
        tries=st.integers(1, 2),
    )
    def create(self, limit: int, fails: int, inner_fails: bool, apart: bool, rated: bool, tries: int) -> None:
        """Executions of which so many nodes run at once for each of two keys, or for one; the first ones
        fail."""
        self.limit, self.whole, self.inner_fails = limit, False, inner_fails
        self.executions = [
            self.harness.create(self.plan_of(number if apart else 0, limit, rated, tries))
            for number in range(EXECUTIONS)
        ]
        self.value = {
            execution: 1 + (number if apart else 0) for number, execution in enumerate(self.executions)
        }
        self.fails = set(self.executions[:fails])

    def plan_of(self, number: int, limit: int, rated: bool, tries: int) -> Any:
        """`a` gives one more than the number: the keys of `b`, of the group, and of what is in it, go by it.
        `y` has the key of the group that it is in, and so needs no place."""
        rate: dict[str, Any] = (
            {"rate_limit": {"key": f"k{LATE}", "limit": limit, "per_seconds": DAY}} if rated else {}
        )
        again: dict[str, Any] = {"retry": {"max_attempts": tries, "delay_seconds": 1}} if tries > 1 else {}
        inner = LATE.replace("a.", "p.")
        p = {"id": "p", "handler": "sum", "config": {"inputs": ["{{ a.result - 1 }}"]}}
        x = adds("x", "p", concurrency={"key": f"in{inner}", "limit": limit})
        y = adds("y", "p", after=("x",), concurrency={"key": f"k{inner}", "limit": limit})
        nodes = [
            {"id": "a", "handler": "sum", "config": {"inputs": [number]}},
            adds("b", "a", concurrency={"key": f"k{LATE}", "limit": limit}, **rate, **again),
            group("g", p, x, y, after=("a",), concurrency={"key": f"k{LATE}", "limit": limit}, **again),
            adds("c", "b", after=("b", "g")),
        ]
        return plan_from(nodes=nodes)

    @rule()
    def wait_a_day(self) -> None:
        """All starts are long ago."""
        self.harness.end_starts()

    @invariant()
    def holds(self) -> None:
        """No more than may are in flight of a key, and who came first goes first."""
        stored = check_moment(self.harness.client)
        self.looks += 1
        found = {key: _standing(standers) for key, standers in self.by_key(stored).items()}
        for key, standing in found.items():
            assert len(standing.flying) <= self.limit, f"{standing.flying} run with the key {key}"
            for one in standing.all:
                self.seen.setdefault(one, self.looks)
            for one in standing.flying - self.before.get(key, _NOBODY).flying:
                earlier = [each for each in standing.all if self.seen[each] < self.seen[one]]
                assert len(earlier) < self.limit, f"{one} has passed {earlier}"
        self.before = found

    def by_key(self, stored: Sequence[Stored]) -> dict[str, list[tuple[Stander, bool]]]:
        """Who stands under each key, by what the keys come to, and who of them is in flight."""
        found: defaultdict[str, list[tuple[Stander, bool]]] = defaultdict(list)
        owners = dict(self._owners(stored))
        for one in stored:
            owner = owners.get(one.id, one.id)
            if owner not in self.value:
                continue
            for name, kind in (("b", "k"), ("g", "k"), ("x", "in")):
                record = one.nodes.get(name)
                made = record is not None and record.keys is not None
                if record is None or not made or record.turn is None:
                    assert record is None or not made or record.status not in ("queued", "open"), record
                    continue
                stander = Stander(one.id, name, record.turn.ticket)
                key = f"{kind}{self.value[owner] % 2}"
                found[key].append((stander, record.status in ("queued", "open")))
        return found

    def _owners(self, stored: Sequence[Stored]) -> Iterator[tuple[str, str]]:
        for one in stored:
            child = one.record("g").child if "g" in one.nodes else None
            if child is not None:
                yield child.execution, one.id


_NOBODY: Final = Standing(frozenset(), frozenset())


def _standing(standers: Sequence[tuple[Stander, bool]]) -> Standing:
    every, flying = [one for one, _ in standers], [one for one, flies in standers if flies]
    return Standing(frozenset(every), frozenset(flying))


@pytest.mark.proves("turn-late-key", "turn-of-group")
@pytest.mark.slow
@pytest.mark.timeout(max(120, EXAMPLES * 3))
def test_no_more_run_under_a_late_key_than_may_and_all_run(valkey: Valkey) -> None:
    """Whatever happens, in whatever order."""
    NodeLineMachine.url = valkey.url
    checked = settings(
        max_examples=max(1, EXAMPLES * 3 // 10),
        stateful_step_count=STEPS,
        deadline=None,
        phases=PHASES,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(NodeLineMachine, settings=checked)
