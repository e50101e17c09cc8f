"""The API's routes over real HTTP: answers, refusals, methods, and what each response carries."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx
import msgspec
import pytest
import structlog

from flowengine.api.edge.problem_table import PROBLEM_KINDS
from flowengine.errors import (
    ConflictError,
    StoredFormatError,
    StoreFullError,
    StoreUnavailableError,
    TooManyExecutionsError,
    UnfitServerError,
)
from flowengine.execution.views.executions import HealthView
from flowengine.observability.log_context import merge_bound
from flowengine.settings import Settings
from tests.support.servers.served_api import ServedApi, served_api
from tests.support.waiting import wait_until

ONE_NODE: dict[str, Any] = {"name": "One", "nodes": [{"id": "a", "handler": "echo"}]}


@pytest.fixture(scope="module")
def api() -> Iterator[ServedApi]:
    with served_api() as served:
        yield served


@pytest.fixture(autouse=True)
def repaired(api: ServedApi) -> Iterator[None]:
    yield
    api.store.broken = None
    api.store.before = lambda: None


def create(api: ServedApi, document: dict[str, Any] = ONE_NODE) -> str:
    answer = api.client.post("/workflow", json=document)
    assert answer.status_code == 201, answer.text
    execution_id: str = answer.json()["execution_id"]
    return execution_id


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The response is a complete problem document; returns it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert (document["status"], document["code"]) == (status, code)
    assert document["type"] == f"urn:flowengine:problem:{code}"
    assert document["correlation_id"] == answer.headers["x-correlation-id"]
    assert document["title"]
    assert document["detail"]
    assert document["instance"].startswith("/")
    assert "Traceback" not in answer.text
    return document


def test_a_json_workflow_is_accepted(api: ServedApi) -> None:
    """201 with the id, where to find it, and the correlation id that is stored with it."""
    answer = api.client.post("/workflow", json=ONE_NODE, headers={"X-Correlation-ID": "order-1"})
    assert answer.status_code == 201
    body = answer.json()
    assert answer.headers["location"] == f"/workflows/{body['execution_id']}"
    assert body == {
        "execution_id": body["execution_id"],
        "name": "One",
        "status": "pending",
        "created_at": "2026-01-02T03:04:05.000Z",
        "correlation_id": "order-1",
    }
    assert api.store.stored[body["execution_id"]].correlation_id == "order-1"


@pytest.mark.parametrize(
    "media_type",
    [
        "application/yaml",
        "application/x-yaml",
        "text/yaml",
        "text/x-yaml",
        "TEXT/YAML; charset=UTF-8",
        'text/yaml;charset="utf-8"',
    ],
)
def test_a_yaml_workflow_is_accepted(api: ServedApi, media_type: str) -> None:
    """Every name that YAML goes by."""
    answer = api.client.post(
        "/workflow",
        content=b"name: In YAML\nnodes:\n  - id: a\n    handler: echo\n",
        headers={"Content-Type": media_type},
    )
    assert (answer.status_code, answer.json()["name"]) == (201, "In YAML")


def test_every_problem_of_a_workflow_is_listed_and_nothing_stored(api: ServedApi) -> None:
    """422 carries all problems, each with code, pointer and message."""
    before = len(api.store.stored)
    answer = api.client.post(
        "/workflow",
        json={"name": "Bad", "nodes": [{"id": "a", "handler": "ecko"}, {"id": "a", "handler": "echo"}]},
    )
    problems = assert_problem(answer, 422, "invalid_workflow")["problems"]
    assert {problem["pointer"] for problem in problems} >= {"/nodes/0/handler", "/nodes/1/id"}
    assert all(problem["code"] and problem["message"] for problem in problems)
    assert len(api.store.stored) == before


def test_yaml_problems_name_line_and_column(api: ServedApi) -> None:
    """Where the input was YAML, each problem says where."""
    answer = api.client.post(
        "/workflow",
        content="name: Bad\nnodes:\n  - id: a\n    handler: ecko\n",
        headers={"Content-Type": "application/yaml"},
    )
    (problem,) = assert_problem(answer, 422, "invalid_workflow")["problems"]
    assert (problem["line"], problem["column"]) == (4, 14)


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        ("application/json", b'{"name": "x",\n "nodes": [}'),
        ("application/json", b""),
        ("application/yaml", b"name: x\nnodes: [\n"),
    ],
)
def test_malformed_bodies_get_400_with_line_and_column(api: ServedApi, media_type: str, body: bytes) -> None:
    """What does not parse is told apart from what is not valid, and where it broke."""
    answer = api.client.post("/workflow", content=body, headers={"Content-Type": media_type})
    document = assert_problem(answer, 400, "malformed_document")
    assert document["problems"][0]["line"] >= 1
    assert document["problems"][0]["column"] >= 1


def test_trigger_starts_once(api: ServedApi) -> None:
    """202 for the first, 409 for the second."""
    execution_id = create(api)
    first = api.client.post(f"/workflow/trigger/{execution_id}")
    assert (first.status_code, first.json()) == (
        202,
        {"execution_id": execution_id, "status": "running", "run": 1},
    )
    assert_problem(api.client.post(f"/workflow/trigger/{execution_id}"), 409, "wrong_state")


def test_status_and_results_have_the_specified_shape(api: ServedApi) -> None:
    """Field for field as the specification says."""
    execution_id = create(api)
    status = api.client.get(f"/workflows/{execution_id}").json()
    assert list(status) == [
        "execution_id", "name", "status", "run", "created_at", "started_at", "finished_at",
        "correlation_id", "labels", "counts", "nodes", "priority",
    ]  # fmt: skip
    assert status["nodes"][0] == {
        "id": "a", "kind": "task", "handler": "echo", "status": "pending", "attempt": 0, "dependencies": [],
        "queued_at": None, "started_at": None, "finished_at": None, "error": None,
    }  # fmt: skip
    assert api.client.get(f"/workflows/{execution_id}/results").json() == {
        "execution_id": execution_id,
        "status": "pending",
        "results": {},
        "errors": {},
        "outputs": None,
    }


def test_a_thousand_nodes_are_accepted_and_reported_in_order(api: ServedApi) -> None:
    """One request each: acceptance, all results as they were stored, the full listing."""
    names = [f"n{position}" for position in range(1000)]
    execution_id = create(api, {"name": "Wide", "nodes": [{"id": name, "handler": "echo"} for name in names]})
    stored = msgspec.Raw(b'{ "result" : [1.0, 1e2, "\\u00e9"] }')
    api.store.finish(execution_id, dict.fromkeys(names, stored))
    results = api.client.get(f"/workflows/{execution_id}/results")
    assert list(results.json()["results"]) == names
    assert bytes(stored).decode() in results.text
    nodes = api.client.get(f"/workflows/{execution_id}").json()["nodes"]
    assert [node["id"] for node in nodes] == names


@pytest.mark.parametrize(
    "execution_id",
    [
        "unknown", "x" * 900, "x" * 5000, "..", "%2e%2e", "a%2Fb", "%00", "%0d%0aX-A:b", "%ff",
        "%F0%9F%92%A9", "{{x}}", "*", "fe:x:1:meta", "%25s", "results", "1;DROP",
    ],
)  # fmt: skip
@pytest.mark.parametrize("template", ["/workflows/{}", "/workflows/{}/results"])
def test_unknown_ids_of_any_shape_get_404(api: ServedApi, template: str, execution_id: str) -> None:
    """Long, hostile, or just wrong: there is no such execution."""
    line = f"GET {template.format(execution_id)} HTTP/1.1"
    answer = api.send_raw(f"{line}\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b'_not_found"' in answer
    assert b"\r\nX-A" not in answer


def test_unknown_ids_cannot_be_triggered(api: ServedApi) -> None:
    """404, also for the route with a body."""
    assert_problem(api.client.post("/workflow/trigger/unknown"), 404, "execution_not_found")


def test_unknown_routes_and_methods_are_problems(api: ServedApi) -> None:
    """404 and 405 come from the router, and look like everything else; 405 names what is allowed."""
    assert_problem(api.client.get("/nothing"), 404, "route_not_found")
    answer = api.client.delete("/workflow")
    assert_problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "OPTIONS, POST"
    assert api.client.put("/health").headers["allow"] == "GET, HEAD, OPTIONS"


def test_head_answers_as_get_without_a_body(api: ServedApi) -> None:
    """The same headers, the length included."""
    execution_id = create(api)
    got, headed = (api.client.request(method, f"/workflows/{execution_id}") for method in ("GET", "HEAD"))
    assert (headed.status_code, headed.content) == (200, b"")
    assert headed.headers["content-length"] == got.headers["content-length"]
    assert api.client.head("/nothing").status_code == 404


def test_options_names_the_methods(api: ServedApi) -> None:
    """204 with Allow."""
    answer = api.client.options("/workflow")
    assert (answer.status_code, answer.headers["allow"]) == (204, "OPTIONS, POST")


def test_a_trailing_slash_makes_no_difference(api: ServedApi) -> None:
    """The same resource, no redirect."""
    execution_id = create(api)
    assert api.client.get(f"/workflows/{execution_id}/").status_code == 200
    assert api.client.post("/workflow/", json=ONE_NODE).status_code == 201


@pytest.mark.parametrize(
    ("error", "status", "code", "retry_after"),
    [
        (StoreUnavailableError("Redis refused"), 503, "store_unavailable", "5"),
        (StoreFullError("92 % of maxmemory"), 503, "store_full", "30"),
        (StoredFormatError("state of format 1"), 503, "stored_format", "30"),
        (UnfitServerError("this Redis is a cluster"), 503, "store_unavailable", "5"),
        (TooManyExecutionsError("too many", retry_after_s=7), 429, "too_many_executions", "7"),
        (ConflictError("others change it"), 503, "conflict", "1"),
    ],
)
def test_a_store_that_cannot_is_told_with_when_to_retry(
    api: ServedApi, error: Exception, status: int, code: str, retry_after: str
) -> None:
    """Retry-After on each, the error's own words in the detail."""
    api.store.broken = error
    answer = api.client.post("/workflow", json=ONE_NODE)
    assert assert_problem(answer, status, code)["detail"].startswith(str(error))
    assert answer.headers["retry-after"] == retry_after


def test_every_way_in_which_the_store_fails_is_a_problem() -> None:
    """A row for each, or the caller of a change would get a 500 that says nothing."""
    kinds: set[type[StoreUnavailableError]] = {
        StoreUnavailableError,
        *StoreUnavailableError.__subclasses__(),
        *UnfitServerError.__subclasses__(),
    }
    assert {kind.code for kind in kinds} <= PROBLEM_KINDS.keys()


def test_an_unexpected_error_is_logged_and_gives_nothing_away(api: ServedApi) -> None:
    """500 names the correlation id only; the log has the traceback under the same id."""
    api.store.broken = RuntimeError("canary at /srv/secret.py")
    with structlog.testing.capture_logs(processors=[merge_bound]) as logged:
        answer = api.client.get("/workflows/x1", headers={"X-Correlation-ID": "c-500"})
    document = assert_problem(answer, 500, "internal_error")
    assert "canary" not in answer.text
    assert document["correlation_id"] == "c-500"
    (failure,) = [line for line in logged if line["event"] == "http.request_failed"]
    assert (failure["correlation_id"], failure["exc_info"]) == ("c-500", api.store.broken)


def test_health_tells_the_truth(api: ServedApi) -> None:
    """200 when all is well, else 503 naming what is down; recovered at once."""
    assert api.client.get("/health").json()["status"] == "ok"
    api.store.broken = StoreUnavailableError("connection refused")
    answer = api.client.get("/health")
    assert (answer.status_code, answer.json()["checks"]) == (503, {"redis": "connection refused"})
    api.store.broken = None
    assert api.client.get("/health").status_code == 200


def test_a_store_that_hangs_gives_503_in_time_and_does_not_block_others() -> None:
    """The time limit holds for every route, /health included, and the API recovers by itself."""
    freed = threading.Event()
    with served_api(Settings(api_timeout_s=0.3)) as api:
        api.store.before = lambda: freed.wait(10)
        try:
            started = time.monotonic()
            assert_problem(api.client.get("/workflows/x1"), 503, "store_unavailable")
            health = api.client.get("/health")
            assert (health.status_code, health.json()["status"]) == (503, "down")
            assert time.monotonic() - started < 9
            assert api.client.get("/docs").status_code == 200
        finally:
            freed.set()
        api.store.before = lambda: None
        assert api.client.get("/health").status_code == 200


def lines_of(logged: Sequence[Mapping[str, Any]], correlation_id: str) -> list[dict[str, Any]]:
    """The lines of one test's requests; the line of an earlier one may come after its answer."""
    return [dict(line) for line in logged if line.get("correlation_id") == correlation_id]


def test_each_request_is_one_log_line_with_the_route(api: ServedApi) -> None:
    """Route template, status and duration; the id only if it can be one; /health is quiet.

    What leads nowhere is shown as it was sent, cut short and without its query.
    """
    with structlog.testing.capture_logs(processors=[merge_bound]) as logged:
        unmatched = f"/no%0a{'x' * 300}"
        for path in ("/workflows/abc", "/workflows/%0d%0acanary", f"{unmatched}?canary", "/health"):
            api.client.get(path, headers={"X-Correlation-ID": "logged"})
        wait_until(lambda: len(lines_of(logged, "logged")) == 4)
    finished = lines_of(logged, "logged")
    assert all(line.pop("duration_ms") >= 0 for line in finished)
    assert finished[0] == {
        "event": "http.request_finished",
        "log_level": "info",
        "correlation_id": "logged",
        "method": "GET",
        "path": "/workflows/{execution_id}",
        "status": 404,
        "execution_id": "abc",
    }
    assert [line["path"] for line in finished[1:]] == ["/workflows/{execution_id}", "unmatched", "/health"]
    assert [line["log_level"] for line in finished] == ["info", "info", "info", "debug"]
    assert finished[2]["requested"] == unmatched[:200]
    assert "canary" not in str(logged)


def test_root_leads_to_the_documentation(api: ServedApi) -> None:
    """A person who opens the address in a browser finds something."""
    answer = api.client.get("/", follow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (307, "/ui")


@pytest.mark.parametrize("path", ["/health", "/workflow"])
def test_options_and_405_name_the_same_methods(api: ServedApi, path: str) -> None:
    """HEAD goes wherever GET does."""
    allowed = api.client.options(path).headers["Allow"]
    assert allowed == api.client.delete(path).headers["Allow"]
    assert ("HEAD" in allowed) == ("GET" in allowed)


def test_degraded_is_healthy_enough_for_a_monitor(api: ServedApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is accepted waits for workers: restarting the API would not help."""
    found = HealthView(status="degraded", checks={"worker (worker)": "none is running"})
    monkeypatch.setattr(api.store, "health", lambda: found)
    answer = api.client.get("/health")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")


def test_requests_on_one_connection_do_not_wait_for_each_other(api: ServedApi) -> None:
    """Nagle's algorithm is off: with it each request but the first took 40 ms."""
    sixth = math.inf
    for _ in range(5):
        taken = []
        for _ in range(20):
            started = time.perf_counter()
            api.client.get("/docs")
            taken.append(time.perf_counter() - started)
        # On a busy machine some take long of themselves, and for a while most may.
        sixth = min(sixth, sorted(taken)[5])
        if sixth < 0.035:
            break
    assert sixth < 0.035


def test_responses_forbid_sniffing_framing_and_caching(api: ServedApi) -> None:
    """The fixed headers are on answers and refusals alike."""
    for path in ("/health", "/nothing"):
        headers = api.client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "server" not in headers


def test_status_leaves_out_the_nodes_that_nobody_wants(api: ServedApi) -> None:
    """`nodes` is empty then, or holds those in the statuses named; `counts` are of all."""
    path = f"/workflows/{api.client.post('/workflow', json=ONE_NODE).json()['execution_id']}"
    whole = api.client.get(path).json()
    assert whole["nodes"]
    assert api.client.get(f"{path}?nodes=true").json() == whole
    assert api.client.get(f"{path}?nodes=false").json() == {**whole, "nodes": []}
    assert api.client.get(f"{path}?node_status=failed").json() == {**whole, "nodes": []}
    assert api.client.get(f"{path}?node_status=failed&node_status=pending").json() == whole


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("nodes=no", "'nodes' is true or false"),
        ("node_status=faild", "There is no status 'faild' of a node; did you mean 'failed'?"),
        ("node_status=", "There is no status '' of a node"),
        ("node_status=failed&nodes=false", "leave out one"),
        ("node_statu=failed", "did you mean 'node_status'?"),
    ],
)
def test_status_refuses_nodes_that_cannot_be(api: ServedApi, query: str, said: str) -> None:
    """422 says what there is."""
    execution = api.client.post("/workflow", json=ONE_NODE).json()["execution_id"]
    answer = api.client.get(f"/workflows/{execution}?{query}")
    assert answer.status_code == 422
    assert said in answer.json()["detail"]


def test_query_and_body_that_contradict_each_other_start_nothing(api: ServedApi) -> None:
    """Who says `trigger=false` must not find that it runs."""
    before = len(api.store.stored)
    answer = api.client.post("/workflow?trigger=false", json={"workflow": ONE_NODE, "trigger": True})
    detail = assert_problem(answer, 422, "invalid_parameter")["detail"]
    assert "leave out one of them" in detail
    assert len(api.store.stored) == before
    assert api.client.post("/workflow?trigger=false", json={"workflow": ONE_NODE}).status_code == 201
