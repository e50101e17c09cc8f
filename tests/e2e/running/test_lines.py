"""What nodes say, asked for over HTTP on a whole stack."""

from __future__ import annotations

import httpx
import pytest

from tests.e2e.answers import assert_problem
from tests.e2e.documents import node, workflow
from tests.support.rigs.stack_processes import Stack

SAID = [
    ("log", "info", "speak.logged", {"number": 2}),
    ("log", "warning", "from a library", None),
    ("stdout", None, "printed by NODE", None),
    ("stderr", None, "complained", None),
]


def get(stack: Stack, path: str) -> httpx.Response:
    """What the API answers."""
    return stack.client.get(path)


@pytest.mark.parametrize("handler", ["test_speak", "test_speak_async"])
def test_all_that_a_handler_says_belongs_to_its_node(stack: Stack, handler: str) -> None:
    """Nodes that run side by side do not mix; the worker's own log has the lines as well."""
    names = [f"n{number}" for number in range(6)]
    execution = stack.start(workflow(*(node(name, handler) for name in names)))
    stack.ended(execution)
    for name in names:
        page = get(stack, f"/workflows/{execution}/nodes/{name}/logs").json()
        assert page["next_cursor"] is None
        assert {(line["node"], line["attempt"]) for line in page["items"]} == {(name, 1)}
        told = [
            (line["source"], line.get("level"), line["message"].replace(name, "NODE"), line.get("fields"))
            for line in page["items"]
        ]
        assert told == SAID
    together = get(stack, f"/workflows/{execution}/logs?limit=500").json()["items"]
    assert len(together) == len(SAID) * len(names)
    logged = [record for process in stack.processes for record in process.records("speak.logged")]
    assert {record["node_id"] for record in logged if record.get("execution_id") == execution} == set(names)


def test_lines_of_what_is_not_there_are_refused(stack: Stack) -> None:
    """Nodes have names, attempts have numbers."""
    execution = stack.start(workflow(node("speaks", "test_speak")))
    stack.ended(execution)
    path = f"/workflows/{execution}/nodes"
    problem = assert_problem(get(stack, f"{path}/speak/logs"), 404, "node_not_found")
    assert "did you mean 'speaks'?" in str(problem["detail"])
    assert_problem(get(stack, f"{path}/speaks/logs?attempt=0"), 422, "invalid_parameter")
    assert get(stack, f"{path}/speaks/logs?attempt=2").json()["items"] == []
