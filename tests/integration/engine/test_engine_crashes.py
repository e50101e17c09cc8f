"""One message, cut at each of its commands in turn: when it comes again, nothing is missing or double."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from flowengine.execution.rules.dispatching import Sizes
from flowengine.execution.rules.readiness import decidable
from flowengine.plugin import Context
from tests.support.checks.invariants import check
from tests.support.checks.reference_model import Graph, Says, expected_values, final_statuses
from tests.support.faults import Gate, Way
from tests.support.rigs.harness import Harness, diamond, failing_in, plan_of

FAN: Graph = {"a": (), "b": ("a",), "c": ("a",), "d": ("a",), "e": ("a",), "f": ("b", "c", "d", "e")}
POINTS_AT_MOST = 80
TWO_WAYS: tuple[Way, ...] = ("fail_after", "die_before")
"""All four are tried over the whole workflow, in tests/fault."""


def finished(harness: Harness, *nodes: str) -> None:
    """Deal with everything of these nodes."""
    for node in nodes:
        harness.run_tasks(node)
        assert harness.deliver(harness.orchestrators[0], *harness.callbacks())


def begun(harness: Harness, graph: Graph, *done: str) -> str:
    """An execution in which these nodes have completed."""
    execution = harness.begin(plan_of(graph))
    harness.start_executions()
    finished(harness, *done)
    return execution


def a_start(harness: Harness) -> str:
    """The start message waits."""
    return harness.begin(plan_of({"a": (), "b": (), "c": (), "d": (), "e": ()}))


def a_start_under_rules(harness: Harness) -> str:
    """The start message waits, of an execution one of whose nodes has a rule."""
    graph: Graph = {"a": (), "b": (), "c": (), "d": (), "e": ("a",)}
    return harness.begin(plan_of(graph, says={"e": Says("all_done")}))


def a_callback(harness: Harness) -> str:
    """One callback waits, whose only children are put off or not."""
    execution = begun(harness, FAN)
    harness.run_tasks("a")
    return execution


def the_last_parent(harness: Harness) -> str:
    """The callback that makes a join ready waits."""
    execution = begun(harness, diamond(), "a", "b")
    harness.run_tasks("c")
    return execution


def both_parents(harness: Harness) -> str:
    """Two callbacks wait that make a join ready together."""
    execution = begun(harness, diamond(), "a")
    harness.run_tasks("b", "c")
    return execution


def the_last_node(harness: Harness) -> str:
    """The callback that ends the execution waits."""
    execution = begun(harness, diamond(), "a", "b", "c")
    harness.run_tasks("d")
    return execution


def mixed_children(harness: Harness) -> str:
    """A callback waits that lets one child go on by itself, and makes a join ready."""
    execution = begun(harness, {"a": (), "b": (), "only": ("a",), "join": ("a", "b")})
    finished(harness, "b")
    harness.run_tasks("a")
    return execution


def several_starts(harness: Harness) -> str:
    """The start messages of three executions wait."""
    return [harness.begin(plan_of(diamond())) for _ in range(3)][-1]


def a_failure(harness: Harness) -> str:
    """A failure waits that ends the execution."""
    harness.script = failing_in(1, "a")
    execution = begun(harness, diamond())
    harness.run_tasks("a")
    return execution


def two_failures(harness: Harness) -> str:
    """Two failures wait, which take the same node with them."""
    harness.script = failing_in(1, "b", "c")
    execution = begun(harness, diamond(), "a")
    harness.run_tasks("b", "c")
    return execution


def a_task(harness: Harness) -> str:
    """A task waits."""
    return begun(harness, diamond(), "a", "b")


FAILING: dict[Callable[[Harness], str], set[str]] = {a_failure: {"a"}, two_failures: {"b", "c"}}
SITUATIONS: tuple[Callable[[Harness], str], ...] = (
    a_start,
    a_start_under_rules,
    a_callback,
    the_last_parent,
    both_parents,
    the_last_node,
    mixed_children,
    several_starts,
    a_failure,
    two_failures,
    a_task,
)


@pytest.mark.usefixtures("no_logs")
@pytest.mark.parametrize("way", TWO_WAYS)
@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: str(situation.__name__))
def test_a_message_cut_anywhere_is_made_good_when_it_comes_again(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, situation: Callable[[Harness], str], way: Way
) -> None:
    """By this message alone, before anything else happens; then the execution goes on to its right end."""
    harness.resize(Sizes(chunk_nodes=2))
    for at in range(1, POINTS_AT_MOST):
        execution = situation(harness)
        queue = "worker" if situation is a_task else "orchestrator"
        process = harness.workers[0] if situation is a_task else harness.orchestrators[0]
        gate = process.line.gate = Gate(at=at, way=way)
        harness.deliver(process, *harness.waiting(queue))
        process.line.gate = Gate()
        for entry in harness.waiting(queue):
            assert harness.deliver(process, entry)
        stored = check(harness.client, execution, settled=False)
        for running in harness.client.zrange("fe:index:running", 0, -1):
            other = check(harness.client, running.decode(), settled=False)
            left = decidable(other.plan, other.record)
            assert not left, f"left undispatched by {way} at {at} ({gate.struck})"
        if situation is the_last_node or situation in FAILING:
            assert stored.status != "running", f"not ended by {way} at {at} ({gate.struck})"
        harness.drain()
        stored = check(harness.client, execution)
        graph = {node.id: [stored.plan.nodes[p].id for p in node.parents] for node in stored.plan.nodes}
        failing = FAILING.get(situation, set[str]())
        assert harness.statuses(execution) == final_statuses(graph, failing.__contains__)
        if not failing:
            assert harness.results(execution) == expected_values(graph)
        assert max(node.attempt for node in stored.nodes.values()) == 1
        if gate.struck is None:
            return
    raise AssertionError("more commands than expected: not every one was tried")


def test_a_cut_callback_in_the_second_run_is_made_good(harness: Harness) -> None:
    """Where children have a history, and are read before they are dispatched."""
    for at in range(1, POINTS_AT_MOST):
        harness.script = failing_in(1, "a")
        execution = begun(harness, FAN)
        harness.drain()
        harness.trigger(execution)
        harness.start_executions()
        harness.run_tasks("a")
        process = harness.orchestrators[0]
        gate = process.line.gate = Gate(at=at, way="die_after")
        harness.deliver(process, *harness.callbacks())
        process.line.gate = Gate()
        for entry in harness.callbacks():
            assert harness.deliver(process, msgspec.structs.replace(entry, deliveries=2))
        harness.drain()
        check(harness.client, execution)
        assert harness.results(execution) == expected_values(FAN)
        if gate.struck is None:
            return
    raise AssertionError("more commands than expected: not every one was tried")


def test_an_outcome_is_reported_although_the_connection_was_closed_meanwhile(harness: Harness) -> None:
    """A handler may run for longer than the server, or something on the way, bears an idle connection."""
    execution = begun(harness, {"a": ()})
    worker = harness.workers[0]
    session = worker.state.sessions.here()

    def close(context: Context) -> None:
        harness.client.client_kill_filter(_id=str(session.call([("CLIENT", "ID")])[0]))

    harness.script = close
    assert harness.deliver(worker, harness.task_of("a"))
    harness.drain()
    assert len(worker.invoker.calls) == 1
    assert harness.results(execution) == {"a": 1}
