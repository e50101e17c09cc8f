"""Whole executions of every shape: each node's result is right, and nothing is left over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

import hiredis
import pytest

from flowengine.execution.rules.dispatching import SIZES, Sizes
from flowengine.queues import WORKER_QUEUE, crowd_line, stream_key
from flowengine.store.connection.packing import Command
from flowengine.store.connection.sessions import WatchedReads
from tests.support.checks.invariants import CheckEverything
from tests.support.checks.reference_model import Graph, expected_values, final_statuses
from tests.support.faults import Gate
from tests.support.rigs.harness import Entry, Harness, Process, diamond, failing_in, plan_of

WORKERS = [("XADD", stream_key(queue)) for queue in (WORKER_QUEUE, crowd_line(WORKER_QUEUE))]


def fan(width: int) -> Graph:
    """One node, then `width`, then one."""
    middle = tuple(f"m{number}" for number in range(width))
    return {"first": (), **dict.fromkeys(middle, ("first",)), "last": middle}


def chain(length: int) -> Graph:
    """One after the other."""
    return {f"n{number}": (f"n{number - 1}",) if number else () for number in range(length)}


def layers(depth: int, width: int) -> Graph:
    """Every node of a layer depends on every node of the layer before."""
    return {
        f"n{layer}_{place}": tuple(f"n{layer - 1}_{other}" for other in range(width)) if layer else ()
        for layer in range(depth)
        for place in range(width)
    }


SHAPES = {
    "one": chain(1),
    "chain": chain(30),
    "diamond": diamond(),
    "fan": fan(500),
    "just one chunk": fan(SIZES.chunk_nodes),
    "a chunk and one": fan(SIZES.chunk_nodes + 1),
    "layers": layers(4, 6),
    "apart": {f"n{number}": () for number in range(300)},
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("orchestrators", [1, 2])
def test_every_shape_ends_with_every_result_right(
    harness: Harness, check_invariants: CheckEverything, shape: str, orchestrators: int
) -> None:
    """With one orchestrator and with two that take turns."""
    if orchestrators == 2:
        harness.second_orchestrator()
    execution = harness.begin(plan_of(SHAPES[shape]))
    harness.drain()
    assert harness.results(execution) == expected_values(SHAPES[shape])
    assert len(harness.workers[0].invoker.calls) == len(SHAPES[shape])
    assert [stored.status for stored in check_invariants()] == ["completed"]


@pytest.mark.parametrize(
    "graph", [chain(1000), fan(998), layers(10, 100)], ids=["deep", "wide", "many edges"]
)
def test_a_thousand_nodes_run(harness: Harness, check_invariants: CheckEverything, graph: Graph) -> None:
    """Deep, wide, and with ninety thousand edges."""
    execution = harness.begin(plan_of(graph))
    harness.drain()
    assert harness.results(execution) == expected_values(graph)
    check_invariants()


@pytest.mark.parametrize("failing", ["a", "b", "d"])
def test_a_failure_takes_down_what_depends_on_it_and_nothing_else(
    harness: Harness, check_invariants: CheckEverything, failing: str
) -> None:
    """And a second run puts everything right."""
    harness.script = failing_in(1, failing)
    execution = harness.begin(plan_of(diamond()))
    harness.drain()
    assert harness.statuses(execution) == final_statuses(diamond(), {failing}.__contains__)
    assert [stored.status for stored in check_invariants()] == ["failed"]
    harness.trigger(execution)
    check_invariants()
    harness.drain()
    assert harness.results(execution) == expected_values(diamond())
    assert [stored.status for stored in check_invariants()] == ["completed"]


def test_a_thousand_nodes_fail_by_one_and_run_again(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """The cascade is one transaction, and so is the reset."""
    graph = fan(998)
    harness.script = failing_in(1, "first")
    execution = harness.begin(plan_of(graph))
    harness.drain()
    assert harness.statuses(execution) == dict.fromkeys(graph, "failed")
    harness.trigger(execution)
    check_invariants()
    harness.drain()
    assert harness.results(execution) == expected_values(graph)
    check_invariants()


def test_many_executions_share_a_batch(harness: Harness, check_invariants: CheckEverything) -> None:
    """Callbacks of different executions are applied in one transaction: fewer commands than one by one."""
    commands = {}
    for batch in (1, 64):
        executions = [harness.begin(plan_of(diamond())) for _ in range(20)]
        gate = harness.orchestrators[0].line.gate = Gate()
        harness.drain(batch=batch)
        assert all(harness.results(execution) == expected_values(diamond()) for execution in executions)
        commands[batch] = gate.count
    assert commands[64] < 0.7 * commands[1]
    assert len(check_invariants()) == 40


def sent_bytes(harness: Harness, process: Process, *entries: Entry) -> list[int]:
    """How large each transaction is with which a process deals with these entries."""
    session, sizes = process.state.sessions.here(), []
    transact = session.transact

    def measured(commands: Sequence[Command], epoch: int, ahead: WatchedReads | None) -> list[Any] | None:
        sizes.append(sum(len(hiredis.pack_command(tuple(command))) for command in commands))
        return transact(commands, epoch, ahead)

    with patch.object(session, "transact", measured):
        assert harness.deliver(process, *entries)
    return sizes


def test_a_batch_whose_children_are_large_is_written_in_parts(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """No transaction holds up the server, however much the callbacks of a batch put in flight."""
    graph = fan(100)
    executions = [harness.begin(plan_of(graph, padding=9_000)) for _ in range(12)]
    harness.start_executions()
    harness.run_tasks()
    sizes = sent_bytes(harness, harness.orchestrators[0], *harness.callbacks())
    assert sum(sizes) > 12 * 100 * 9_000
    assert max(sizes) < SIZES.transaction_bytes + SIZES.chunk_bytes
    harness.drain()
    assert all(harness.results(execution) == expected_values(graph) for execution in executions)
    check_invariants()


@pytest.mark.parametrize("at", range(1, 12))
def test_an_orchestrator_that_dies_between_the_parts_leaves_none_out(
    harness: Harness, check_invariants: CheckEverything, at: int
) -> None:
    """Whatever was put off for lack of room is found when the callback comes again."""
    harness.resize(Sizes(transaction_bytes=1))
    execution = harness.begin(plan_of({"a": (), "b": ("a",), "c": ("a",)}))
    harness.start_executions()
    harness.run_tasks("a")
    process = harness.orchestrators[0]
    process.line.gate = Gate(at=at, way="die_after")
    harness.deliver(process, *harness.callbacks())
    harness.resize(SIZES)
    harness.drain()
    assert harness.statuses(execution) == dict.fromkeys("abc", "completed")
    check_invariants()


def dispatched(harness: Harness, process: Process, *entries: Entry) -> list[tuple[int, int]]:
    """For each transaction with which a process deals with these entries: how many tasks it sends, and
    how many bytes they hold."""
    session, found = process.state.sessions.here(), []
    transact = session.transact

    def noted(commands: Sequence[Command], epoch: int, ahead: WatchedReads | None) -> list[Any] | None:
        tasks = [command for command in commands if command[:2] in WORKERS]
        found.append((len(tasks), sum(len(hiredis.pack_command(tuple(task))) for task in tasks)))
        return transact(commands, epoch, ahead)

    with patch.object(session, "transact", noted):
        assert harness.deliver(process, *entries)
    return found


@pytest.mark.parametrize(("padding", "parts"), [(8_000, [120]), (10_000, [0, 120]), (40_000, [0, 104, 16])])
def test_large_configs_are_dispatched_in_parts(
    harness: Harness, check_invariants: CheckEverything, padding: int, parts: list[int]
) -> None:
    """Children with more than a mebibyte of config are put off, and follow by four mebibytes at most."""
    execution = harness.begin(plan_of(fan(120), padding=padding))
    harness.start_executions()
    harness.run_tasks("first")
    found = dispatched(harness, harness.orchestrators[0], *harness.callbacks())
    assert [tasks for tasks, _ in found] == parts
    assert max(size for _, size in found) < SIZES.transaction_bytes + SIZES.chunk_bytes / 10
    harness.drain()
    assert harness.results(execution) == expected_values(fan(120))
    check_invariants()
