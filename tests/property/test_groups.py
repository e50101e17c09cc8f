"""Random groups and definitions in one another, moved message by message: in any order, some twice, stopped,
held and triggered again.

`FLOWENGINE_FAULT_SHRINK=1` makes it look for the shortest way to a failure.
"""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from flowengine.errors import WrongStateError
from flowengine.plugin import Context, HandlerError
from flowengine.workflow.plan import Plan
from tests.property.examples import share_of_examples
from tests.property.graphs import graphs
from tests.support.checks.invariants import check_everything
from tests.support.checks.reference_model import Graph, final_statuses
from tests.support.child_plans import apply, calls
from tests.support.group_plans import adds, group, plan_from
from tests.support.rigs.harness import Entry, Harness, silence
from tests.support.servers.valkey import Valkey

FIXTURES: Final = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow)
PHASES: Final = (Phase.generate, *([Phase.shrink] if "FLOWENGINE_FAULT_SHRINK" in os.environ else []))
DEPTH: Final = 3
STEPS_AT_MOST: Final = 400


class Tree(msgspec.Struct, frozen=True):
    """A list of nodes, by their ids, and what is in those that are groups. `called`: those of these that run
    a definition in place of it. `mapped`: those that run for each of so many items, the second number of
    them at a time. `looped`: those that repeat, so many times. `retried`: those that are tried twice."""

    graph: Graph
    groups: Mapping[str, Tree]
    called: frozenset[str] = frozenset()
    mapped: Mapping[str, tuple[int, int]] = {}
    looped: Mapping[str, int] = {}
    retried: frozenset[str] = frozenset()

    def ids(self) -> Iterator[str]:
        """All nodes that have a handler."""
        for node in self.graph:
            if node in self.groups:
                yield from self.groups[node].ids()
            else:
                yield node


@st.composite
def trees(draw: st.DrawFn, prefix: str = "", depth: int = 0) -> Tree:
    """Up to four nodes, some of them groups; no id is used twice."""
    drawn = draw(graphs(most=4))
    graph = {f"{prefix}{node}": tuple(f"{prefix}{each}" for each in found) for node, found in drawn.items()}
    inside: dict[str, Tree] = {}
    for node in graph:
        if depth < DEPTH and draw(st.integers(0, 2)) == 0:
            inside[node] = draw(trees(f"{node}_", depth + 1))
    called = frozenset([node for node in inside if draw(st.booleans())])
    some = [node for node in inside if node not in called and draw(st.booleans())]
    mapped = {node: (draw(st.integers(0, 3)), draw(st.integers(0, 2))) for node in some}
    other = [node for node in inside if node not in called and node not in mapped and draw(st.booleans())]
    looped = {node: draw(st.integers(1, 3)) for node in other}
    retried = frozenset([node for node in inside if node not in {*called, *mapped} and draw(st.booleans())])
    return Tree(graph, inside, called, mapped, looped, retried)


def document(tree: Tree, outer: str | None = None) -> list[dict[str, Any]]:
    """The nodes of a tree: each reads its parents, and where it has none a node outside of its group."""
    nodes = []
    for node, parents in tree.graph.items():
        read = [parent for parent in parents if parent not in tree.groups]
        if node in tree.called:
            nodes.append(calls(node, _name(node), tuple(parents)))
        elif node in tree.groups:
            inner = document(tree.groups[node], read[0] if read else outer)
            nodes.append(group(node, *inner, after=tuple(parents)))
            if node in tree.mapped:
                items, at_once = tree.mapped[node]
                nodes[-1]["map"] = {
                    "items": list(range(items)),
                    "as": f"of_{node}",
                    "max_concurrent": at_once,
                }
            if node in tree.retried:
                nodes[-1]["retry"] = {"max_attempts": 2, "delay_seconds": 0.5}
            if node in tree.looped:
                nodes[-1]["repeat"] = {
                    "until": f"{{{{ iteration == {tree.looped[node]} }}}}",
                    "collect": True,
                }
        else:
            reads = read or ([] if outer is None else [outer])
            nodes.append(adds(node, *reads, after=tuple(parents)))
    return nodes


def _name(node: str) -> str:
    return f"of {node}"


def apply_all(harness: Harness, tree: Tree) -> None:
    """Apply the definitions that its nodes run: these read nothing outside."""
    for node, inner in tree.groups.items():
        apply_all(harness, inner)
        if node in tree.called:
            apply(harness, _name(node), nodes=document(inner))


def fails(tree: Tree, failing: set[str]) -> bool:
    """Whether some node of it fails."""
    return "failed" in expected(tree, failing).values()


def expected(tree: Tree, failing: set[str]) -> Mapping[str, str]:
    """How the nodes of a list end where these fail."""

    def own(node: str) -> bool:
        if node in tree.groups:
            return tree.mapped.get(node, (1, 0))[0] > 0 and fails(tree.groups[node], failing)
        return node in failing

    return final_statuses(tree.graph, own)


class Walk:
    """One execution, moved at random."""

    def __init__(self, harness: Harness, tree: Tree, failing: set[str], chance: random.Random) -> None:
        self.harness = harness
        self.tree = tree
        self.failing = failing
        self.chance = chance
        self.run = 1
        self._seen: list[Entry] = []
        harness.script = self._script
        harness.second_orchestrator()
        apply_all(harness, tree)
        plan: Plan = plan_from(nodes=document(tree))
        self.execution = harness.begin(plan)

    def _script(self, context: Context) -> None:
        if self.run == 1 and context.node_id in self.failing:
            raise HandlerError("boom", "failed on purpose")

    def go(self, *, steers: bool) -> None:
        """Deliver this and that, and now and then steer."""
        for _ in range(STEPS_AT_MOST):
            waiting = [*self.harness.waiting("orchestrator"), *self.harness.tasks()]
            if not waiting:
                return
            entry = self.chance.choice(waiting)
            self._deliver(entry)
            if entry.actor == "tend_child":
                self._seen.append(entry)
            if self._seen and self.chance.random() < 0.2:
                self._send_again(self.chance.choice(self._seen))
            if steers and self.chance.random() < 0.1:
                self._steer()

    def _deliver(self, entry: Entry) -> None:
        if entry.queue == "orchestrator":
            self.harness.deliver(self.chance.choice(self.harness.orchestrators), entry)
        else:
            self.harness.deliver(self.harness.workers[0], entry)

    def _send_again(self, entry: Entry) -> None:
        fields = ["a", entry.actor, "p3", entry.payload]
        self.harness.client.execute_command("XADD", self.harness.stream("orchestrator"), "*", *fields)

    def _steer(self) -> None:
        executions = self.harness.api.executions
        with contextlib.suppress(WrongStateError):
            match self.chance.randrange(4):
                case 0:
                    self.harness.cancel(self.execution)
                case 1:
                    executions.pause(self.execution)
                case 2:
                    executions.resume(self.execution)
                case _:
                    children = list(self.harness.client.zrange("fe:nested", 0, -1))
                    if children:
                        self.harness.cancel(self.chance.choice(children).decode())

    def end(self) -> str:
        """Let everything go on to its end; the status."""
        with contextlib.suppress(WrongStateError):
            self.harness.api.executions.resume(self.execution)
        self.harness.drain()
        check_everything(self.harness.client)
        return str(self.harness.api.executions.status(self.execution).status)

    def statuses(self) -> Iterator[tuple[Tree, dict[str, str]]]:
        """Of each list that has run, how its nodes have ended."""
        found = [(self.execution, self.tree)]
        while found:
            execution, tree = found.pop()
            view = self.harness.api.executions.status(execution)
            yield tree, {node.id: node.status for node in view.nodes}
            for node in view.nodes:
                if node.id in tree.looped and node.status == "completed":
                    assert node.iteration == tree.looped[node.id], node
            found += [
                (str(node.child), tree.groups[node.id])
                for node in view.nodes
                if not isinstance(node.child, msgspec.UnsetType)
            ]
            found += [
                (child, tree.groups[node])
                for node in tree.mapped
                for child in self._of_items(execution, node)
            ]

    def _of_items(self, execution: str, node: str) -> list[str]:
        """The children of a map's items."""
        page = self.harness.api.executions.items(
            execution, node, statuses=frozenset(), begin=0, with_results=False, limit=10, cursor=None
        )
        return [item.child for item in page.items if isinstance(item.child, str)]


Seed: TypeAlias = int


@pytest.mark.proves("group-any-order", "call-any-order", "group-each", "group-iteration")
@settings(max_examples=share_of_examples(40), suppress_health_check=FIXTURES, phases=PHASES, deadline=None)
@given(tree=trees(), seed=st.integers(0, 2**32), steers=st.booleans())
def test_groups_end_right_in_whatever_order(valkey: Valkey, tree: Tree, seed: Seed, steers: bool) -> None:
    """Each list ends as it would alone; and once nothing fails any more, all of it completes."""
    chance = random.Random(seed)
    ids = list(tree.ids())
    failing = set(chance.sample(ids, min(len(ids), chance.randrange(3))))
    with valkey.connect() as client:
        client.flushall()
    harness = Harness(valkey.url)
    try:
        with silence():
            walk = Walk(harness, tree, failing, chance)
            walk.go(steers=steers)
            status = walk.end()
            if not steers:
                for inner, found in walk.statuses():
                    assert found == expected(inner, failing)
            walk.run = 2
            if status != "completed":
                harness.trigger(walk.execution)
                walk.go(steers=False)
                assert walk.end() == "completed"
            for inner, found in walk.statuses():
                assert found == dict.fromkeys(inner.graph, "completed")
    finally:
        harness.close()
