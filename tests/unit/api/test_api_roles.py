"""Roles: every route names the one that it needs, and a key of a lower one is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from flowengine.access.roles import ROLES, Role, allows
from flowengine.api.access.api_keys import new_key
from flowengine.api.access.cross_site import SAFE_METHODS
from flowengine.api.access.key_guard import NEEDS_NO_KEY, NEEDS_ROLE, role_of
from flowengine.api.app import create_app
from flowengine.settings import Settings
from tests.e2e.answers import assert_problem
from tests.support.fake_access import FakeAccess
from tests.support.fake_executions import FakeExecutions
from tests.support.servers.served_api import ServedApi, catalog, served_api

KEYS = {role: new_key(f"a-{role}", role) for role in ROLES}
SETTINGS = Settings(api_keys=tuple(entry for _, entry in KEYS.values()))


@pytest.fixture(scope="module")
def api() -> Iterator[ServedApi]:
    with served_api(SETTINGS) as served:
        yield served


def with_key(role: Role) -> dict[str, str]:
    return {"Authorization": f"Bearer {KEYS[role][0]}"}


def routes() -> list[tuple[str, str, HTTPRouteHandler]]:
    """Every method, path and route of the app, but for what Litestar answers to OPTIONS by itself."""
    app = create_app(FakeExecutions(), catalog(), SETTINGS, FakeAccess())
    return [
        (method, re.sub(r"\{[^}]*\}", "x1", at.path), route)
        for at in app.routes
        if isinstance(at, HTTPRoute)
        for route in at.route_handlers
        for method in route.http_methods
        if method != "OPTIONS"
    ]


def test_every_route_is_open_or_names_its_role() -> None:
    """One of the two, in its own words: a new route that forgets it is for admins, and fails here."""
    for method, path, route in routes():
        assert (NEEDS_NO_KEY in route.opt) != (NEEDS_ROLE in route.opt), (method, path)
        assert route.opt.get(NEEDS_ROLE, "read") in ROLES, (method, path)


def test_routes_that_are_there_need_these_roles() -> None:
    """What a role opens is decided in the route, and seen here in one place."""
    needed = {(method, path): role_of(route) for method, path, route in routes() if NEEDS_ROLE in route.opt}
    wanted: dict[tuple[str, str], Role] = {
        ("POST", "/workflow"): "author",
        ("GET", "/workflows/x1/events"): "read",
        ("GET", "/workflows/x1/runs"): "read",
        ("GET", "/workflows/x1/nodes/x1/items"): "read",
        ("GET", "/workflows/x1/logs"): "read",
        ("GET", "/workflows/x1/deliveries"): "read",
        ("GET", "/events"): "read",
        ("POST", "/workflow/trigger/x1"): "author",
        ("POST", "/validate"): "read",
        ("POST", "/workflows/x1/cancel"): "operate",
        ("POST", "/workflows/x1/pause"): "operate",
        ("POST", "/workflows/x1/resume"): "operate",
        ("DELETE", "/workflows/x1"): "operate",
        ("POST", "/workflows/bulk"): "operate",
        ("GET", "/workflows/bulk/x1"): "read",
        ("POST", "/workflows/x1/rerun"): "operate",
        ("POST", "/workflows/x1/nodes/x1/skip"): "operate",
        ("POST", "/workflows/x1/nodes/x1/complete"): "operate",
        ("POST", "/workflows/x1/nodes/x1/fail"): "operate",
        ("POST", "/workflows/x1/signals/x1"): "decide",
        ("POST", "/workflows/x1/nodes/x1/decision"): "decide",
        ("GET", "/waiting"): "read",
        ("GET", "/workflows/x1"): "read",
        ("GET", "/workflows/x1/results"): "read",
        ("GET", "/workflows/x1/document"): "read",
        ("GET", "/workflows/x1/graph"): "read",
        ("GET", "/workflows/x1/nodes/x1"): "read",
        ("PUT", "/definitions/x1"): "admin",
        ("DELETE", "/definitions/x1"): "admin",
        ("POST", "/definitions/x1/trigger"): "run",
        ("POST", "/definitions/diff"): "read",
        ("GET", "/definitions"): "read",
        ("GET", "/schedules"): "read",
        ("GET", "/schedules/x1/x1/history"): "read",
        ("POST", "/schedules/x1/x1/pause"): "admin",
        ("POST", "/schedules/x1/x1/resume"): "admin",
        ("POST", "/schedules/x1/x1/trigger"): "run",
        ("GET", "/definitions/x1"): "read",
        ("GET", "/definitions/x1/versions"): "read",
        ("GET", "/definitions/x1/graph"): "read",
        ("GET", "/definitions/x1/changes"): "read",
        ("GET", "/me"): "read",
        ("GET", "/keys"): "admin",
        ("DELETE", "/keys/x1"): "admin",
        ("GET", "/settings"): "admin",
        ("GET", "/metrics"): "read",
        ("GET", "/stats"): "read",
        ("GET", "/dead-letters"): "admin",
        ("GET", "/queues"): "read",
        ("GET", "/workers"): "read",
        ("GET", "/limits"): "read",
        ("POST", "/dead-letters/x1/retry"): "admin",
        ("DELETE", "/dead-letters/x1"): "admin",
        ("GET", "/audit"): "admin",
    }
    assert {route: needed[route] for route in wanted} == wanted


def test_routes_that_change_something_are_those_that_the_audit_tells_of() -> None:
    """Commands on executions are in it by the store that commits them. Of others `test_audit.py` and
    `test_page_sessions.py` show each: a new one belongs there, and here."""
    changing = {(method, path) for method, path, _ in routes() if method not in SAFE_METHODS}
    changing -= {("POST", "/validate"), ("POST", "/definitions/diff")}  # they store nothing
    changing -= {("POST", "/callbacks/x1")}  # no key sends it: the events of its execution tell of it
    assert {at for at in changing if not at[1].startswith("/workflow")} == {
        ("POST", "/dead-letters/x1/retry"),
        ("DELETE", "/dead-letters/x1"),
        ("DELETE", "/keys/x1"),
        ("POST", "/session"),
        ("DELETE", "/session"),
        ("PUT", "/definitions/x1"),
        ("DELETE", "/definitions/x1"),
        ("POST", "/definitions/x1/trigger"),
        ("POST", "/schedules/x1/x1/pause"),
        ("POST", "/schedules/x1/x1/resume"),
        ("POST", "/schedules/x1/x1/trigger"),
    }


@pytest.mark.proves("role-missing")
@pytest.mark.parametrize("role", ROLES)
def test_key_opens_what_its_role_allows_and_nothing_else(api: ServedApi, role: Role) -> None:
    """Every route with a key of each role: 403 naming both roles, or whatever the route itself answers."""
    for method, path, route in routes():
        answer = api.ask(method, path, with_key(role))
        if NEEDS_NO_KEY in route.opt or allows(role, role_of(route)):
            assert answer.status_code not in (401, 403), (method, path)
        else:
            assert_problem(answer, 403, "role_missing")
            assert f"'{role_of(route)}'" in answer.json()["detail"]
            assert f"the key 'a-{role}' has the role '{role}'" in answer.json()["detail"]
            assert "www-authenticate" not in answer.headers


def test_refused_request_has_done_nothing(api: ServedApi) -> None:
    """The role is looked at before the body: nothing is created, started or cancelled."""
    document = {"name": "One", "nodes": [{"id": "a", "handler": "echo"}]}
    before = len(api.store.stored)
    assert api.client.post("/workflow", json=document, headers=with_key("operate")).status_code == 403
    assert len(api.store.stored) == before
    created = api.client.post("/workflow", json=document, headers=with_key("author")).json()["execution_id"]
    path = f"/workflow/trigger/{created}"
    assert api.client.post(path, headers=with_key("run")).status_code == 403
    assert api.client.post(f"/workflows/{created}/cancel", headers=with_key("author")).status_code == 403
    shown = api.client.get(f"/workflows/{created}", headers=with_key("read")).json()
    assert shown["status"] == "pending"


def test_any_key_may_ask_for_methods(api: ServedApi) -> None:
    """OPTIONS changes nothing and tells nothing of executions."""
    answer = api.client.options("/workflow", headers=with_key("read"))
    assert (answer.status_code, answer.headers["allow"]) == (204, "OPTIONS, POST")


def test_api_without_keys_lets_everybody_do_everything() -> None:
    """There is no key to have a role."""
    with served_api() as open_api:
        for method, path, _ in routes():
            assert open_api.ask(method, path).status_code not in (401, 403), (method, path)


def test_document_says_which_role_each_operation_needs(api: ServedApi) -> None:
    """In its description, with the 403 that a lower one gets; /health needs none."""
    document = api.client.get("/openapi.json").json()
    cancel = document["paths"]["/workflows/{execution_id}/cancel"]["post"]
    assert "Needs a key with the role `operate`" in cancel["description"]
    assert cancel["responses"]["403"] == {"$ref": "#/components/responses/DefinitionMissingOrRoleMissing"}
    health = document["paths"]["/health"]["get"]
    assert "role" not in health["description"]
    assert "403" not in health["responses"]
