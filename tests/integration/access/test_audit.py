"""The audit: each change that somebody makes is told of, in its own transaction, and costs nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import redis
from structlog.testing import capture_logs

from flowengine.access.acting import Note, acting, unwritten_note
from flowengine.access.records import Actor, ApiKey
from flowengine.api.access.api_keys import new_key
from flowengine.engine.executions import StoredExecutions
from flowengine.errors import WrongStateError
from flowengine.queues import dead_letter_key
from flowengine.settings import Settings
from flowengine.store.access.audit_log import KEPT
from flowengine.store.access.redis_access import RedisAccess
from flowengine.store.keys import of
from tests.e2e.answers import assert_problem
from tests.integration.access.conftest import Run
from tests.support.rigs.harness import plan_of
from tests.support.servers.served_api import ServedApi, served_api

AUDIT = of().audit
DOCUMENT = {"name": "One", "nodes": [{"id": "a", "handler": "echo"}]}
OPS, OPS_ENTRY = new_key("ops")
READER, READER_ENTRY = new_key("reader", "read")
AS_OPS = {"Authorization": f"Bearer {OPS}", "X-Correlation-ID": "c-1"}
AS_READER = {"Authorization": f"Bearer {READER}"}
SETTINGS = Settings(api_keys=(OPS_ENTRY, READER_ENTRY))
PLAN = plan_of({"a": ()}, reading=False)


def told(access: RedisAccess) -> list[tuple[str, str | None]]:
    """Actions and targets, the oldest first."""
    return [(item.entry.action, item.entry.target) for item in reversed(access.audit(100, None))]


def note(action: str = "test") -> Note:
    return Note(action=action, actor=Actor(key="ops", address="192.0.2.7", correlation_id="c-1"))


@pytest.fixture
def api(access: RedisAccess, executions: StoredExecutions) -> Iterator[ServedApi]:
    with served_api(SETTINGS, access=access, executions=executions) as served:
        yield served


@pytest.mark.proves("audited")
def test_an_apply_a_start_and_a_deletion_of_a_definition_are_told_of(
    api: ServedApi, access: RedisAccess
) -> None:
    """By its name, and the start by its execution; an apply that changes nothing is not."""
    for _ in range(2):
        assert api.client.put("/definitions/One", json=DOCUMENT, headers=AS_OPS).status_code in (200, 201)
    started = api.client.post("/definitions/One/trigger", headers=AS_OPS).json()["execution_id"]
    assert api.client.get("/definitions/One", headers=AS_OPS).json()["applied_by"] == "ops"
    assert api.client.delete("/definitions/One", headers=AS_OPS).status_code == 200
    assert told(access) == [
        ("apply_definition", "One"),
        ("start_definition", started),
        ("delete_definition", "One"),
    ]


@pytest.mark.proves("audited")
def test_what_is_done_with_a_schedule_is_told_of(api: ServedApi, access: RedisAccess) -> None:
    """By the name of its definition and its id, and a start by its execution; who has paused it is shown."""
    scheduled = {**DOCUMENT, "schedules": [{"cron": "@daily"}]}
    assert api.client.put("/definitions/One", json=scheduled, headers=AS_OPS).status_code == 201
    for _ in range(2):
        paused = api.client.post("/schedules/One/default/pause", headers=AS_OPS).json()["paused"]
        assert (paused["by"], paused["key"]) == ("operator", "ops")
    started = api.client.post("/schedules/One/default/trigger", headers=AS_OPS).json()["execution_id"]
    assert api.client.post("/schedules/One/default/resume", headers=AS_OPS).status_code == 200
    (outcome,) = api.client.get("/schedules/One/default/history", headers=AS_READER).json()["items"]
    assert (outcome["execution_id"], outcome["by"]) == (started, {"key": "ops"})
    assert told(access) == [
        ("apply_definition", "One"),
        ("pause_schedule", "One/default"),
        ("trigger_schedule", started),
        ("resume_schedule", "One/default"),
    ]


@pytest.mark.proves("audited")
def test_what_changes_something_is_told_of(api: ServedApi, access: RedisAccess, run: Run) -> None:
    """Over HTTP and by the tool: who, from where, what, when; what only looks or is refused is not."""
    created = api.client.post("/workflow", json=DOCUMENT, headers=AS_OPS).json()["execution_id"]
    api.client.post(f"/workflow/trigger/{created}", headers=AS_OPS)
    run("key", "new", "ci")
    for step in ("pause", "resume", "cancel"):
        assert api.client.post(f"/workflows/{created}/{step}", headers=AS_OPS).status_code == 202
    unwanted = api.client.post("/workflow", json=DOCUMENT, headers=AS_OPS).json()["execution_id"]
    assert api.client.delete(f"/workflows/{unwanted}", headers=AS_OPS).status_code == 200
    assert api.client.delete(f"/workflows/{unwanted}", headers=AS_OPS).status_code == 404
    many = {"action": "pause", "ids": [unwanted]}
    bulk = api.client.post("/workflows/bulk", json=many, headers=AS_OPS).json()["bulk_id"]
    api.client.delete("/keys/ci", headers=AS_OPS)
    api.client.get(f"/workflows/{created}", headers=AS_OPS)
    assert api.client.post(f"/workflows/{created}/cancel", headers=AS_READER).status_code == 403
    assert api.client.post("/workflow", json=DOCUMENT).status_code == 401
    assert api.client.post("/workflow", json={}, headers=AS_OPS).status_code == 422
    assert api.client.delete("/keys/ci", headers=AS_OPS).status_code == 404
    # Being stopped already: nothing changes.
    assert api.client.post(f"/workflows/{created}/cancel", headers=AS_OPS).status_code == 202
    answer = api.client.get("/audit", headers=AS_OPS).json()
    assert answer["next_cursor"] is None
    assert [(item["action"], item["target"], item["key"]) for item in reversed(answer["items"])] == [
        ("create_execution", created, "ops"),
        ("trigger_execution", created, "ops"),
        ("make_key", "ci", None),
        ("pause_execution", created, "ops"),
        ("resume_execution", created, "ops"),
        ("cancel_execution", created, "ops"),
        ("create_execution", unwanted, "ops"),
        ("delete_execution", unwanted, "ops"),
        ("start_bulk", bulk, "ops"),
        ("revoke_key", "ci", "ops"),
    ]
    (by_tool,) = [item for item in answer["items"] if item["key"] is None]
    assert (by_tool["address"], "correlation_id" in by_tool) == (None, False)
    newest = answer["items"][0]
    assert (newest["address"], newest["correlation_id"], newest["outcome"]) == ("127.0.0.1", "c-1", "done")
    times = [item["at"] for item in answer["items"]]
    assert times == sorted(times, reverse=True)


def test_a_bulk_keeps_which_key_began_it(
    api: ServedApi, access: RedisAccess, redis_client: redis.Redis
) -> None:
    """By id and time of making, where Redis holds it: the bulk ends with it. Else by its id."""
    secret, entry = new_key("night", "operate")
    _, digest, _ = entry.split(".")
    key = ApiKey(id="night", digest=digest, role="operate", kept_in="redis", created_at=77)
    assert access.add_key(key)
    asked = []
    for headers in ({"Authorization": f"Bearer {secret}"}, AS_OPS):
        many = {"action": "pause", "ids": ["0" * 27]}
        bulk = api.client.post("/workflows/bulk", json=many, headers=headers).json()["bulk_id"]
        asked.append(json.loads(redis_client.hget(of().bulk(bulk), "asked") or b"{}"))
    assert [(each["by"], each.get("key_made_at")) for each in asked] == [("night", 77), ("ops", None)]


def test_a_node_that_an_operator_ends_is_told_of_with_who_and_why(api: ServedApi) -> None:
    """In the audit and in the execution's events; a refused word is in neither."""
    created = api.client.post("/workflow?trigger=true", json=DOCUMENT, headers=AS_OPS).json()["execution_id"]
    node = f"/workflows/{created}/nodes/a"
    body = {"result": 5, "reason": "it hangs"}
    assert api.client.post(f"{node}/complete", json={**body, "run": 2}, headers=AS_OPS).status_code == 409
    assert api.client.post(f"{node}/complete", json=body, headers=AS_OPS).json()["status"] == "completed"
    assert api.client.post(f"{node}/complete", json=body, headers=AS_OPS).status_code == 409
    newest, before = api.client.get("/audit", headers=AS_OPS).json()["items"][:2]
    said = (newest["action"], newest["target"], newest["node"], newest["reason"], newest["key"])
    assert said == ("complete_node", created, "a", "it hangs", "ops")
    assert before["action"] == "create_execution"
    events = api.client.get(f"/workflows/{created}/events", headers=AS_OPS).json()["items"]
    (event,) = [event for event in events if event["kind"] == "node_overruled"]
    assert (event["said"], event["by"], event["reason"]) == ("complete", "ops", "it hangs")


def test_dead_letters_that_are_retried_or_deleted_are_told_of(
    api: ServedApi, access: RedisAccess, redis_client: redis.Redis
) -> None:
    """Under their ids; one that is not there is not told of."""
    fields = ("x", "y", "reason", "undecodable", "entry", "0-1", "deliveries", "1")
    buried = [redis_client.execute_command("XADD", dead_letter_key("worker"), "*", *fields) for _ in "ab"]
    one, two = (f"worker:{entry.decode()}" for entry in buried)
    retried = api.client.post(f"/dead-letters/{one}/retry", headers=AS_OPS)
    assert retried.json()["done"] == "sent", retried.text
    assert api.client.delete(f"/dead-letters/{two}", headers=AS_OPS).status_code == 200
    assert api.client.delete(f"/dead-letters/{two}", headers=AS_OPS).status_code == 404
    assert told(access) == [("retry_dead_letter", one), ("delete_dead_letter", two)]


def test_api_without_keys_tells_where_a_change_came_from(
    access: RedisAccess, executions: StoredExecutions
) -> None:
    """Nobody has a name there."""
    with served_api(access=access, executions=executions) as open_api:
        open_api.client.post("/workflow", json=DOCUMENT)
        (item,) = open_api.client.get("/audit").json()["items"]
    assert (item["key"], item["address"]) == (None, "127.0.0.1")


def test_audit_comes_in_pages(api: ServedApi, access: RedisAccess, executions: StoredExecutions) -> None:
    """Each entry once, the newest first, and none between two pages that came later."""
    for number in range(5):
        with acting(note(f"n{number}")):
            executions.create(PLAN, correlation_id="c")
    first = api.client.get("/audit?limit=2", headers=AS_OPS).json()
    with acting(note("later")):
        executions.create(PLAN, correlation_id="c")
    second = api.client.get(f"/audit?limit=2&cursor={first['next_cursor']}", headers=AS_OPS).json()
    third = api.client.get(f"/audit?limit=2&cursor={second['next_cursor']}", headers=AS_OPS).json()
    pages = [[item["action"] for item in page["items"]] for page in (first, second, third)]
    assert pages == [["n4", "n3"], ["n2", "n1"], ["n0"]]
    assert third["next_cursor"] is None


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("cursor=x", "invalid_parameter"),
        ("cursor=-", "invalid_parameter"),
        ("cursor=1-1)", "invalid_parameter"),
        ("cursor=", "invalid_parameter"),
        ("limit=0", "invalid_parameter"),
        ("limit=501", "invalid_parameter"),
        ("limit=many", "invalid_parameter"),
        ("since=1", "unknown_parameter"),
    ],
)
def test_wrong_page_is_refused(api: ServedApi, query: str, code: str) -> None:
    """With what may be asked for."""
    assert_problem(api.client.get(f"/audit?{query}", headers=AS_OPS), 422, code)


def test_command_that_changes_in_steps_is_told_of_once(
    access: RedisAccess, executions: StoredExecutions
) -> None:
    """With its first step; the next command is told of again."""
    with acting(note("first")):
        one = executions.create(PLAN, correlation_id="c").execution_id
        executions.trigger(one, correlation_id="c")
        assert unwritten_note() is None
    other = executions.create(PLAN, correlation_id="c").execution_id
    with acting(note("second")):
        executions.cancel(one)
        executions.trigger(other, correlation_id="c")
    executions.create(PLAN, correlation_id="c")
    assert told(access) == [("first", one), ("second", one)]


def test_change_that_is_not_made_is_not_told_of(access: RedisAccess, executions: StoredExecutions) -> None:
    """What is refused has written nothing."""
    one = executions.create(PLAN, correlation_id="c").execution_id
    executions.trigger(one, correlation_id="c")
    with acting(note()), pytest.raises(WrongStateError):
        executions.trigger(one, correlation_id="c")
    assert told(access) == []


@pytest.mark.proves("audit-fails")
def test_change_is_made_where_it_cannot_be_told_of(
    api: ServedApi, redis_client: redis.Redis, access: RedisAccess, run: Run
) -> None:
    """Something else has the key: the log has it as an error, and the audit answers 503."""
    redis_client.set(AUDIT, "x")
    with capture_logs() as logged:
        created = api.client.post("/workflow", json=DOCUMENT, headers=AS_OPS)
        assert created.status_code == 201
        path = f"/workflow/trigger/{created.json()['execution_id']}"
        assert api.client.post(path, headers=AS_OPS).status_code == 202
        assert run("key", "new", "ci").exit_code == 0
        assert api.client.delete("/keys/ci", headers=AS_OPS).status_code == 200
    events = [line["event"] for line in logged if line["log_level"] == "error"]
    assert events == ["store.command_failed"] * 2 + ["audit.not_written"] * 2
    shown = api.client.get(path.replace("workflow/trigger", "workflows"), headers=AS_OPS).json()
    assert shown["status"] == "running"
    assert_problem(api.client.get("/audit", headers=AS_OPS), 503, "store_unavailable")


def test_audit_is_capped(
    access: RedisAccess, executions: StoredExecutions, redis_client: redis.Redis
) -> None:
    """The oldest go."""
    with redis_client.pipeline(transaction=False) as pipe:
        for _ in range(KEPT + 500):
            pipe.xadd(AUDIT, {"a": "[]"})
        pipe.execute()
    with acting(note("last")):
        executions.create(PLAN, correlation_id="c")
    assert redis_client.xlen(AUDIT) < KEPT + 200
    newest, older = access.audit(2, None)
    assert (newest.entry.action, older.entry.action) == ("last", "unreadable")
