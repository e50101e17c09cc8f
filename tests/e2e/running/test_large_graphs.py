"""Graphs as large as they may be: accepted, run, and reported in one request each."""

from __future__ import annotations

from tests.e2e.documents import add, node, workflow
from tests.support.rigs.stack_processes import Stack


def test_fan_out_of_500_and_back_is_right_everywhere(stack: Stack) -> None:
    """1 to 500 to 1: every branch has its own result, and the last node saw all of them."""
    branches = [add(f"branch_{at}", "{{ root.result }}", at, after=["root"]) for at in range(500)]
    names = [branch["id"] for branch in branches]
    join = node("join", "aggregate", after=names, aggregate_type="count", inputs=[])
    last = add("last", "{{ branch_0.result }}", "{{ branch_499.result }}", after=["join"])
    ended = stack.run(workflow(add("root", 1, 1), *branches, join, last), within_s=60)
    assert ended.status["status"] == "completed"
    assert {name: ended.results[name]["result"] for name in names} == {
        f"branch_{at}": 2 + at for at in range(500)
    }
    assert ended.results["last"]["result"] == 2 + 2 + 499
    told = [(event["kind"], event.get("node")) for event in stack.events(ended.status["execution_id"])]
    before = told[: told.index(("node_queued", "join"))]
    assert {name for kind, name in before if kind == "node_completed"} == {"root", *names}


def test_chain_of_200_adds_up(stack: Stack) -> None:
    """Each node takes the one before it and adds one."""
    first = add("n0", 0, 1)
    rest = [add(f"n{at}", f"{{{{ n{at - 1}.result }}}}", 1, after=[f"n{at - 1}"]) for at in range(1, 200)]
    ended = stack.run(workflow(first, *rest), within_s=60)
    assert [ended.results[f"n{at}"]["result"] for at in range(200)] == list(range(1, 201))
    assert {item["attempt"] for item in ended.status["nodes"]} == {1}


def test_thousand_nodes_are_accepted_run_and_reported_at_once(stack: Stack) -> None:
    """Ten layers of a hundred, each node below three of the layer above."""
    nodes = []
    for layer in range(10):
        for at in range(100):
            above = sorted({f"l{layer - 1}_{(at + step) % 100}" for step in (0, 1, 7)}) if layer else []
            value = f"{{{{ {above[0]}.result }}}}" if above else 0
            nodes.append(add(f"l{layer}_{at}", value, 1, after=above))
    ended = stack.run(workflow(*nodes), within_s=60)
    assert ended.status["counts"] == {
        "total": 1000,
        "pending": 0,
        "queued": 0,
        "running": 0,
        "waiting": 0,
        "skipped": 0,
        "cancelled": 0,
        "completed": 1000,
        "failed": 0,
    }
    assert [item["id"] for item in ended.status["nodes"]] == [item["id"] for item in nodes]
    assert {name: output["result"] for name, output in ended.results.items()} == {
        f"l{layer}_{at}": layer + 1 for layer in range(10) for at in range(100)
    }
