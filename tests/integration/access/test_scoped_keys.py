"""Keys for some definitions: what they see and steer, over the real store, and what stays closed to them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from flowengine.access.records import ApiKey
from flowengine.access.roles import Role
from flowengine.api.access.api_keys import digest_of, new_key
from flowengine.api.access.key_guard import DEFINITION, EXECUTION, NARROWS, NEEDS_NO_KEY
from flowengine.api.app import create_app
from flowengine.engine.executions import StoredExecutions
from flowengine.settings import Settings
from flowengine.store.access.redis_access import RedisAccess
from tests.e2e.answers import assert_problem
from tests.integration.access.conftest import Run
from tests.support.fake_access import FakeAccess
from tests.support.fake_executions import FakeExecutions
from tests.support.servers.served_api import ServedApi, catalog, served_api

ADMIN, ADMIN_ENTRY = new_key("root")
SETTINGS = Settings(api_keys=(ADMIN_ENTRY,))


def document(name: str) -> dict[str, Any]:
    """A document of this name."""
    return {"name": name, "nodes": [{"id": "a", "handler": "echo"}]}


@pytest.fixture
def api(access: RedisAccess, executions: StoredExecutions) -> Iterator[ServedApi]:
    with served_api(SETTINGS, access=access, executions=executions) as served:
        for name in ("etl-day", "etl-night", "billing"):
            assert served.client.put(f"/definitions/{name}", json=document(name), headers=ROOT).is_success
        yield served


ROOT = {"Authorization": f"Bearer {ADMIN}"}


def key_of(run: Run, role: Role, *patterns: str) -> dict[str, str]:
    """The header with a new key for these definitions."""
    options = [part for pattern in patterns for part in ("--definitions", pattern)]
    made = run("key", "new", f"a-{role}", "--role", role, *options)
    assert made.exit_code == 0, made.output
    (key,) = re.findall(r"^key: +(fe_\S+)$", made.stdout, re.MULTILINE)
    return {"Authorization": f"Bearer {key}"}


@pytest.mark.proves("definition-missing")
def test_a_key_sees_and_steers_what_it_is_for(api: ServedApi, run: Run) -> None:
    """The name in a posted document gives it nothing."""
    scoped = key_of(run, "operate", "etl-*", "x")
    allowed = api.client.post("/definitions/etl-day/trigger", headers=scoped).json()["execution_id"]
    other = api.client.post("/definitions/billing/trigger", headers=ROOT).json()["execution_id"]
    posted = api.client.post("/workflow", json=document("etl-day"), headers=ROOT).json()["execution_id"]
    assert_problem(api.client.post("/definitions/billing/trigger", headers=scoped), 403, "definition_missing")
    assert api.client.get(f"/workflows/{allowed}", headers=scoped).status_code == 200
    for execution in (other, posted):
        for path in ("", "/results", "/document", "/events", "/nodes/a"):
            refused = api.client.get(f"/workflows/{execution}{path}", headers=scoped)
            assert_problem(refused, 403, "definition_missing")
        assert_problem(
            api.client.post(f"/workflows/{execution}/cancel", headers=scoped), 403, "definition_missing"
        )
    assert_problem(api.client.get(f"/workflows/{'0' * 27}", headers=scoped), 404, "execution_not_found")
    assert api.client.post(f"/workflows/{allowed}/cancel", headers=scoped).status_code == 202
    listed = api.client.get("/workflows", headers=scoped).json()["items"]
    assert [item["execution_id"] for item in listed] == [allowed]
    assert len(api.client.get("/workflows", headers=ROOT).json()["items"]) == 3
    names = [item["name"] for item in api.client.get("/definitions", headers=scoped).json()["items"]]
    assert names == ["etl-day", "etl-night"]
    assert_problem(api.client.get("/definitions/billing", headers=scoped), 403, "definition_missing")
    assert api.client.get("/me", headers=scoped).json() == {
        "key": "a-operate",
        "role": "operate",
        "definitions": ["etl-*", "x"],
    }


@pytest.mark.proves("definition-missing")
def test_a_key_sees_and_steers_the_schedules_of_what_it_is_for(api: ServedApi, run: Run) -> None:
    """And of no other, by a list or by name."""
    for name in ("etl-day", "billing"):
        scheduled = {**document(name), "schedules": [{"cron": "@daily"}]}
        assert api.client.put(f"/definitions/{name}", json=scheduled, headers=ROOT).is_success
    scoped = key_of(run, "admin", "etl-*")
    listed = api.client.get("/schedules", headers=scoped).json()["items"]
    assert [item["name"] for item in listed] == ["etl-day"]
    refused = api.client.get("/schedules", params={"name": "billing"}, headers=scoped)
    assert_problem(refused, 403, "definition_missing")
    for what in ("pause", "resume", "trigger"):
        assert api.client.post(f"/schedules/etl-day/default/{what}", headers=scoped).is_success
        refused = api.client.post(f"/schedules/billing/default/{what}", headers=scoped)
        assert_problem(refused, 403, "definition_missing")
    refused = api.client.get("/schedules/billing/default/history", headers=scoped)
    assert_problem(refused, 403, "definition_missing")


@pytest.mark.proves("definition-missing")
def test_an_admin_of_some_definitions_applies_these_alone(api: ServedApi, run: Run) -> None:
    """And what an apply would change is told of no other."""
    scoped = key_of(run, "admin", "etl-*")
    assert api.client.put("/definitions/etl-new", json=document("etl-new"), headers=scoped).status_code == 201
    refused = api.client.put("/definitions/billing", json=document("billing"), headers=scoped)
    assert_problem(refused, 403, "definition_missing")
    for name, status in (("etl-new", 200), ("billing", 403)):
        body = {"documents": [document(name)]}
        assert api.client.post("/definitions/diff", json=body, headers=scoped).status_code == status
    assert_problem(api.client.delete("/definitions/billing", headers=scoped), 403, "definition_missing")
    assert api.client.delete("/definitions/etl-new", headers=scoped).status_code == 200
    for path in ("/keys", "/audit", "/settings"):
        assert_problem(api.client.get(path, headers=scoped), 403, "definition_missing")


@pytest.mark.proves("definition-missing")
def test_an_admin_of_some_definitions_lets_these_follow_no_other(api: ServedApi, run: Run) -> None:
    """What follows a definition is given what the executions of that one end with."""
    scoped = key_of(run, "admin", "etl-*")

    def applied(workflow: str) -> httpx.Response:
        following = {**document("etl-after"), "after": [{"workflow": workflow}]}
        return api.client.put("/definitions/etl-after", json=following, headers=scoped)

    assert applied("etl-day").status_code == 201
    assert_problem(applied("billing"), 403, "definition_missing")
    assert api.client.get("/definitions/etl-after", headers=scoped).json()["version"] == 1


@pytest.mark.proves("definition-missing")
def test_what_is_about_no_single_definition_is_closed_unless_it_narrows() -> None:
    """Every route, to a key that is for one name: a new one that says nothing is closed."""
    secret = new_key("scoped", "admin")[0]
    access, settings = FakeAccess(), Settings()
    access.add(
        ApiKey(id="scoped", digest=digest_of(secret), role="admin", kept_in="redis", definitions=("mine",))
    )
    with served_api(settings, access=access) as api:
        open_to_it = set()
        for method, path, route in _routes():
            answer = api.ask(method, path, {"Authorization": f"Bearer {secret}"})
            if answer.status_code != 403:
                open_to_it.add(route.handler_name)
                declared = " ".join(route.paths)
                about_one = f"{{{EXECUTION}" in declared or f"{{{DEFINITION}" in declared
                assert about_one or route.opt.get(NARROWS) or route.opt.get(NEEDS_NO_KEY), path
    assert {"list_executions", "list_definitions", "show_me", "show_execution"} <= open_to_it
    assert not {"create_execution", "list_keys", "start_bulk", "watch_changes", "show_stats"} & open_to_it


def _routes() -> list[tuple[str, str, HTTPRouteHandler]]:
    app = create_app(FakeExecutions(), catalog(), Settings(), FakeAccess())
    return [
        (method, re.sub(r"\{[^}]*\}", "x1", at.path), route)
        for at in app.routes
        if isinstance(at, HTTPRoute)
        for route in at.route_handlers
        for method in route.http_methods
        if method != "OPTIONS"
    ]


def test_patterns_are_kept_and_listed(run: Run) -> None:
    """With the key; what can be none is refused."""
    key_of(run, "run", "etl-*")
    listed = run("key", "list", "--json")
    assert '"definitions": ["etl-*"]' in listed.stdout or "etl-*" in listed.stdout
    assert run("key", "new", "b", "--definitions", "").exit_code == 2
    assert run("key", "new", "b", "--definitions", "x", "--entry").exit_code == 2
    assert run("key", "new", "b", *["--definitions", "x"] * 21).exit_code == 2
