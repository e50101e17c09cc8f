"""Every endpoint of the API, over HTTP, against real processes: statuses, shapes, order."""

from __future__ import annotations

import json
import re
from datetime import datetime

import httpx
import pytest

from tests.e2e.answers import assert_problem
from tests.e2e.documents import add, workflow
from tests.support.rigs.stack_processes import Stack

RFC_3339_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
ONE_NODE = workflow(add("sum", 40, 2))
ONE_NODE_YAML = """\
name: under test
nodes:
  - id: sum
    handler: compute
    config: {operation: add, a: 40, b: 2}
"""


def is_moment(value: object) -> bool:
    """Whether this is a time as SPEC wants it: RFC 3339, in UTC."""
    return isinstance(value, str) and RFC_3339_UTC.fullmatch(value) is not None


@pytest.mark.parametrize(
    "media_type",
    ["application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml", "text/yaml; charset=utf-8"],
)
def test_workflow_in_yaml_is_created_and_runs(stack: Stack, media_type: str) -> None:
    """Each of YAML's media types is taken."""
    response = stack.client.post(
        "/workflow", content=ONE_NODE_YAML.encode(), headers={"Content-Type": media_type}
    )
    assert response.status_code == 201
    stack.trigger(response.json()["execution_id"])
    assert stack.ended(response.json()["execution_id"]).results == {"sum": {"result": 42}}


def test_created_execution_is_pending_and_has_a_location(stack: Stack) -> None:
    """201 names the execution in body and Location, and holds exactly the promised keys."""
    response = stack.client.post("/workflow", json=ONE_NODE, headers={"X-Correlation-ID": "order-1"})
    created = response.json()
    assert response.status_code == 201
    assert set(created) == {"execution_id", "name", "status", "created_at", "correlation_id"}
    assert (created["name"], created["status"]) == ("under test", "pending")
    assert created["correlation_id"] == response.headers["X-Correlation-ID"] == "order-1"
    assert is_moment(created["created_at"])
    assert response.headers["Location"] == f"/workflows/{created['execution_id']}"
    assert stack.client.get(response.headers["Location"]).status_code == 200


def test_status_of_a_pending_execution_lists_untouched_nodes(stack: Stack) -> None:
    """Before the trigger nothing has a time, an attempt or an error."""
    execution = stack.create(workflow(add("sum", 1, 2), add("next", "{{ sum.result }}", 1, after=["sum"])))
    status = stack.status(execution)
    assert (status["status"], status["run"]) == ("pending", 0)
    assert status["counts"] == {
        "total": 2,
        "pending": 2,
        "queued": 0,
        "running": 0,
        "waiting": 0,
        "completed": 0,
        "failed": 0,
        "skipped": 0,
        "cancelled": 0,
    }
    assert status["started_at"] is status["finished_at"] is None
    assert status["nodes"][1] == {
        "id": "next",
        "kind": "task",
        "handler": "compute",
        "status": "pending",
        "attempt": 0,
        "dependencies": ["sum"],
        "queued_at": None,
        "started_at": None,
        "finished_at": None,
        "error": None,
    }


def test_trigger_answers_202_with_the_run(stack: Stack) -> None:
    """The answer says that it runs, and which run this is."""
    execution = stack.create(ONE_NODE)
    response = stack.client.post(f"/workflow/trigger/{execution}")
    assert response.status_code == 202
    assert response.json() == {"execution_id": execution, "status": "running", "run": 1}
    stack.ended(execution)


def test_status_of_a_completed_execution_has_every_field(stack: Stack) -> None:
    """The response has exactly the promised keys, and its times are in order."""
    status = stack.run(ONE_NODE, correlation_id="order-2").status
    assert set(status) == {
        "execution_id",
        "name",
        "status",
        "run",
        "created_at",
        "started_at",
        "finished_at",
        "correlation_id",
        "labels",
        "counts",
        "nodes",
        "priority",
        "trigger",
    }
    assert (status["status"], status["run"], status["correlation_id"]) == ("completed", 1, "order-2")
    assert status["counts"]["completed"] == status["counts"]["total"] == 1
    (node,) = status["nodes"]
    assert (node["status"], node["attempt"], node["error"]) == ("completed", 1, None)
    moments = [
        status["created_at"],
        status["started_at"],
        node["queued_at"],
        node["started_at"],
        node["finished_at"],
        status["finished_at"],
    ]
    assert all(map(is_moment, moments))
    assert sorted(moments, key=datetime.fromisoformat) == moments


def test_nodes_come_in_the_order_of_the_document(stack: Stack) -> None:
    """Nodes are sorted neither by name nor by dependency."""
    document = workflow(
        add("zeta", "{{ mid.result }}", 1, after=["mid"]), add("alpha", 1, 1), add("mid", 2, 2)
    )
    status = stack.run(document).status
    assert [node["id"] for node in status["nodes"]] == ["zeta", "alpha", "mid"]


def test_results_hold_outputs_and_errors(stack: Stack) -> None:
    """Completed nodes appear under `results`, failed ones under `errors`, and nothing else is there."""
    document = workflow(
        add("good", 1, 2),
        {"id": "bad", "handler": "compute", "config": {"operation": "divide", "a": 1, "b": 0}},
    )
    ended = stack.run(document)
    assert set(ended.outcome) == {"execution_id", "status", "results", "errors", "outputs"}
    assert ended.outcome["status"] == "failed"
    assert ended.results == {"good": {"result": 3}}
    assert set(ended.errors) == {"bad"}
    assert ended.errors["bad"] == ended.node("bad")["error"]


def test_results_of_a_pending_execution_are_empty(stack: Stack) -> None:
    """A request before the trigger is no error."""
    response = stack.client.get(f"/workflows/{stack.create(ONE_NODE)}/results")
    assert response.status_code == 200
    assert (response.json()["results"], response.json()["errors"]) == ({}, {})


def test_health_names_every_part(stack: Stack) -> None:
    """200 with Redis, memory and the two services, and both queues."""
    response = stack.client.get("/health")
    assert response.status_code == 200
    health = response.json()
    assert health["status"] == "ok"
    assert set(health["checks"]) == {"redis", "memory", "orchestrator", "worker (worker)", "handlers"}
    assert set(health["checks"].values()) == {"ok"}
    assert set(health["queues"]) == {"orchestrator", "worker"}
    assert all(queue["consumers"] >= 1 for queue in health["queues"].values())


def test_documentation_is_complete_and_needs_no_internet(stack: Stack) -> None:
    """/docs loads only what this server has, and describes every endpoint with examples."""
    page = stack.client.get("/docs")
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    found = re.findall(r"""(?:src|href)=["']([^"'#]+)""", page.text)
    loaded = [address for address in found if not address.startswith("data:")]
    assert loaded
    for address in loaded:
        assert not re.match(r"(https?:)?//", address), f"{address} is not on this server"
        target = httpx.URL(str(page.url)).join(address)
        assert stack.client.get(target).status_code == 200, address
    schema = stack.client.get("/openapi.json").json()
    operations = {
        (path, method): operation
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    }
    assert {(re.sub(r"{.*}", "{id}", path), method) for path, method in operations} >= {
        ("/workflow", "post"),
        ("/workflow/trigger/{id}", "post"),
        ("/workflows/{id}", "get"),
        ("/workflows/{id}/results", "get"),
        ("/health", "get"),
    }
    assert all("example" in json.dumps(operation) for operation in operations.values())


def test_head_answers_as_get_without_a_body(stack: Stack) -> None:
    """Monitors ask with HEAD."""
    response = stack.client.head("/health")
    assert (response.status_code, response.content) == (200, b"")


@pytest.mark.parametrize("path", ["/workflows/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/workflows/nope/results"])
def test_unknown_execution_is_404(stack: Stack, path: str) -> None:
    """A well-formed id and a malformed one get the same answer."""
    assert_problem(stack.client.get(path), 404, "execution_not_found")


def test_trigger_of_an_unknown_execution_is_404(stack: Stack) -> None:
    """No execution is created."""
    assert_problem(stack.client.post("/workflow/trigger/nope"), 404, "execution_not_found")


def test_unknown_route_and_method_are_problems_too(stack: Stack) -> None:
    """404 and 405 are problem documents, and 405 says what is allowed."""
    assert_problem(stack.client.get("/nothing/here"), 404, "route_not_found")
    response = stack.client.delete("/workflow")
    assert_problem(response, 405, "method_not_allowed")
    assert "POST" in response.headers["Allow"]


def test_trigger_of_a_running_or_completed_execution_is_409(stack: Stack) -> None:
    """Only what is pending or failed can be started."""
    running = stack.start(workflow({"id": "slow", "handler": "test_wait", "config": {"seconds": 4}}))
    problem = assert_problem(stack.client.post(f"/workflow/trigger/{running}"), 409, "wrong_state")
    assert "running" in str(problem["detail"])
    assert stack.ended(running).status["status"] == "completed"
    problem = assert_problem(stack.client.post(f"/workflow/trigger/{running}"), 409, "wrong_state")
    assert "completed" in str(problem["detail"])
    assert stack.status(running)["run"] == 1
