"""What a node may read and store: refused where it is too much, counted where it counts."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest

from flowengine.jsonvalue import JsonValue
from flowengine.plugin import Context, Handler
from tests.support.checks.invariants import CheckEverything
from tests.support.group_plans import group, plan_from
from tests.support.rigs.harness import Harness, plan_of


def limit(harness: Harness, **limits: int) -> None:
    """Start the worker again with these limits."""
    changed = msgspec.structs.replace(harness.settings.limits, **limits)
    harness.settings = msgspec.structs.replace(harness.settings, limits=changed)
    for process in (*harness.workers, *harness.orchestrators):
        process.reborn()


def give(harness: Harness, monkeypatch: pytest.MonkeyPatch, sizes: Mapping[str, int]) -> None:
    """Let each node's result be so many bytes."""

    def invoke(handler: Handler, config: JsonValue, context: Context) -> object:
        return "x" * (sizes[context.node_id] - len('""'))

    monkeypatch.setattr(harness.workers[0].invoker, "invoke", invoke)


@pytest.mark.parametrize("parents", [2, 20], ids=["few", "many"])
def test_a_node_that_would_read_too_much_fails_unrun(
    harness: Harness, check_invariants: CheckEverything, parents: int
) -> None:
    """Whether the outputs were fetched at once or, as they are many, only measured."""
    names = tuple(f"n{at}" for at in range(parents))
    size = len('{"result":1}')
    graph = {**dict.fromkeys(names, ()), "reads": names}
    limit(harness, max_read_bytes=parents * size - 1)
    execution = harness.begin(plan_of(graph))
    harness.drain()
    assert harness.api.executions.results(execution).errors["reads"].code == "inputs_too_large"
    assert "reads" not in [call.node_id for call in harness.workers[0].invoker.calls]
    limit(harness, max_read_bytes=parents * size)
    harness.trigger(execution)
    harness.drain()
    assert harness.results(execution)["reads"] == 1 + parents
    check_invariants()


def test_a_result_over_the_limit_fails_its_node(
    harness: Harness, check_invariants: CheckEverything, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One byte more than it may be is too much."""
    limit(harness, max_result_bytes=100)
    give(harness, monkeypatch, {"a": 100, "b": 101})
    execution = harness.begin(plan_of({"a": (), "b": ()}, reading=False))
    harness.drain()
    found = harness.api.executions.results(execution)
    assert (len(found.results["a"]), found.errors["b"].code) == (100, "result_too_large")
    check_invariants()


@pytest.mark.proves("results-too-large")
@pytest.mark.parametrize("quick", [False, True], ids=["noted", "unnoted"])
def test_results_together_stay_within_the_executions_limit(
    harness: Harness, check_invariants: CheckEverything, monkeypatch: pytest.MonkeyPatch, quick: bool
) -> None:
    """Large ones count, exactly; small ones do not, and fit although there is no room left."""
    if quick:
        harness.be_quick()
    limit(harness, max_execution_result_bytes=9000)
    give(harness, monkeypatch, {"a": 4096, "small": 4095, "b": 4904, "over": 4096, "last": 4095})
    chain = {"a": (), "small": ("a",), "b": ("small",), "over": ("b",), "last": ("b",)}
    execution = harness.begin(plan_of(chain, reading=False))
    harness.drain()
    found = harness.api.executions.results(execution)
    assert {node: len(result) for node, result in found.results.items()} == {
        "a": 4096,
        "small": 4095,
        "b": 4904,
        "last": 4095,
    }
    assert found.errors["over"].code == "results_too_large"
    assert [stored.counts["bytes"] for stored in check_invariants()] == ["9000"]


@pytest.mark.proves("results-too-large")
@pytest.mark.parametrize("mapped", [False, True], ids=["group", "map of a group"])
def test_what_children_give_counts_as_results_do(
    harness: Harness, check_invariants: CheckEverything, mapped: bool
) -> None:
    """The child has its result in its own execution, and there is no room for it in that of its parent."""
    limit(harness, max_execution_result_bytes=12_000)
    gives = {"id": "text", "handler": "set", "config": {"value": "x" * 5000}}
    outputs = {"all": "{{ text.result }}"}
    if mapped:
        nodes = [group("each", gives, map={"items": [1, 2, 3], "max_concurrent": 1}, outputs=outputs)]
    else:
        first, second = (group(name, gives, outputs=outputs) for name in ("first", "second"))
        nodes = [first, second, group("each", gives, outputs=outputs, after=("first", "second"))]
    execution = harness.begin(plan_from(nodes=nodes))
    harness.drain()
    error = harness.api.executions.results(execution).errors["each"]
    assert error.code == ("map_failed" if mapped else "results_too_large")
    assert "would take the execution's results over 12000 bytes" in error.message
    (counted,) = [int(each.counts["bytes"]) for each in check_invariants() if each.id == execution]
    assert 10_000 < counted < 12_000
