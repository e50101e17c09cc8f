"""`/definitions` over HTTP: what is answered, with which status, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from flowengine.api.access.api_keys import new_key
from flowengine.api.routes.definitions.checked_documents import CheckedDocuments
from flowengine.handlers.builtin import calling
from flowengine.settings import Limits, Settings
from tests.e2e.answers import assert_problem
from tests.support.servers.served_api import ServedApi, catalog, served_api

PATH = "/definitions/nightly report"


def document(text: str = "x", **more: Any) -> dict[str, Any]:
    """A document that says `text`."""
    node = {"id": "a", "handler": "echo", "config": {"text": text}}
    return {"name": "nightly report", **more, "nodes": [node]}


@pytest.fixture
def api() -> Iterator[ServedApi]:
    with served_api() as served:
        yield served


def test_a_document_is_applied_shown_and_deleted(api: ServedApi) -> None:
    """201 for what is new, 200 for what there was; then 404."""
    first = api.client.put(PATH, json=document())
    assert (first.status_code, first.json()["version"], first.json()["previous"]) == (201, 1, None)
    again = api.client.put(PATH, json=document())
    assert (again.status_code, again.json()["version"], again.json()["previous"]) == (200, 1, 1)
    assert api.client.put(PATH, json=document("y")).json()["version"] == 2
    back = api.client.put(PATH, json=document())
    assert (back.status_code, back.json()["version"], back.json()["previous"]) == (200, 1, 2)
    shown = api.client.get(PATH, params={"version": 2}).json()
    assert (shown["name"], shown["version"], shown["current"]) == ("nightly report", 2, 1)
    assert (shown["input_schema"], shown["nodes"], len(shown["graph"]["cards"])) == ({"type": "object"}, 1, 1)
    assert shown["media_type"] == "application/json"
    assert '"y"' in shown["document"]
    assert api.client.delete(PATH).json() == {"name": "nightly report", "version": 1}
    assert_problem(api.client.get(PATH), 404, "definition_not_found")
    assert_problem(api.client.delete(PATH), 404, "definition_not_found")
    assert api.client.put(PATH, json=document()).json()["version"] == 3


def test_a_document_is_given_back_as_it_was_written(api: ServedApi) -> None:
    """Comments too; those that changed are those of the last apply, and no new version."""
    text = "# first\nname: nightly report\nnodes: [{id: a, handler: echo, config: {text: x}}]\n"
    yaml = {"Content-Type": "application/yaml"}
    assert api.client.put(PATH, content=text, headers=yaml).status_code == 201
    assert api.client.get(PATH).json()["document"] == text
    changed = text.replace("first", "second")
    assert api.client.put(PATH, content=changed, headers=yaml).json()["version"] == 1
    shown = api.client.get(PATH).json()
    assert (shown["document"], shown["media_type"], shown["version"]) == (changed, "application/yaml", 1)


def test_definitions_are_listed_by_name_and_versions_from_the_newest(api: ServedApi) -> None:
    """A page after the other."""
    for name in ("b", "a", "c"):
        api.client.put(f"/definitions/{name}", json={**document(labels={"l": name}), "name": name})
    first = api.client.get("/definitions", params={"limit": 2}).json()
    assert [item["name"] for item in first["items"]] == ["a", "b"]
    assert first["items"][0]["labels"] == {"l": "a"}
    rest = api.client.get("/definitions", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert ([item["name"] for item in rest["items"]], rest["next_cursor"]) == (["c"], None)
    for text in ("2", "3"):
        api.client.put("/definitions/a", json={**document(text), "name": "a"})
    page = api.client.get("/definitions/a/versions", params={"limit": 2}).json()
    assert [(item["version"], item["current"]) for item in page["items"]] == [(3, True), (2, False)]
    rest = api.client.get("/definitions/a/versions", params={"cursor": page["next_cursor"]}).json()
    assert [item["version"] for item in rest["items"]] == [1]
    assert_problem(api.client.get("/definitions/d/versions"), 404, "definition_not_found")
    for path in ("/definitions", "/definitions/a/versions"):
        assert_problem(api.client.get(path, params={"cursor": "_"}), 422, "invalid_parameter")


def test_a_definition_is_started(api: ServedApi) -> None:
    """202 with its version, what it was given, and the document's labels."""
    inputs = {"day": {"type": "string"}}
    api.client.put(PATH, json=document(inputs=inputs, labels={"team": "data", "of": "document"}))
    given = {"inputs": {"day": "today"}, "labels": {"of": "caller"}}
    answer = api.client.post(f"{PATH}/trigger", json=given)
    started = answer.json()
    assert (answer.status_code, started["status"], started["run"]) == (202, "running", 1)
    assert (started["name"], started["version"]) == ("nightly report", 1)
    assert answer.headers["location"] == f"/workflows/{started['execution_id']}"
    stored = api.store.stored[started["execution_id"]]
    assert (stored.inputs, stored.labels) == ({"day": "today"}, {"team": "data", "of": "caller"})
    assert_problem(api.client.post(f"{PATH}/trigger"), 422, "inputs_invalid")
    api.client.put(PATH, json=document())
    assert api.client.post(f"{PATH}/trigger").json()["version"] == 2
    old = api.client.post(f"{PATH}/trigger", params={"version": 1}, json=given)
    assert old.json()["version"] == 1


def test_a_start_is_repeated_by_its_key(api: ServedApi) -> None:
    """A key is one of a caller, of the route and of the definition."""
    for name in ("a", "b"):
        api.client.put(f"/definitions/{name}", json={**document(), "name": name})
    key = {"Idempotency-Key": "one"}
    first = api.client.post("/definitions/a/trigger", headers=key)
    again = api.client.post("/definitions/a/trigger", headers=key)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json()["execution_id"] == first.json()["execution_id"]
    other = api.client.post("/definitions/b/trigger", headers=key).json()
    assert other["execution_id"] != first.json()["execution_id"]
    others: list[dict[str, Any]] = [{"json": {"inputs": {}}}, {"params": {"version": 1}}]
    for changed in others:
        refused = api.client.post("/definitions/a/trigger", headers=key, **changed)
        assert_problem(refused, 409, "idempotency_conflict")


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("PUT", "/definitions/other", document(), 422, "invalid_workflow"),
        ("PUT", "/definitions/nightly report", {"workflow": document()}, 422, "invalid_workflow"),
        ("PUT", "/definitions/nightly report?wait=1", document(), 422, "unknown_parameter"),
        ("GET", "/definitions/absent", None, 404, "definition_not_found"),
        ("GET", "/definitions/absent/graph", None, 404, "definition_not_found"),
        ("GET", "/definitions/absent/changes", None, 404, "definition_not_found"),
        ("GET", "/definitions/nightly report/changes?since=9", None, 404, "definition_not_found"),
        ("GET", "/definitions/nightly report/changes?version=9", None, 404, "definition_not_found"),
        ("GET", "/definitions/nightly report?version=9", None, 404, "definition_not_found"),
        ("GET", "/definitions/nightly report?version=0", None, 422, "invalid_parameter"),
        ("POST", "/definitions/absent/trigger", {}, 404, "definition_not_found"),
        ("POST", "/definitions/nightly report/trigger", {"inptus": {}}, 422, "inputs_invalid"),
        ("POST", "/definitions/nightly report/trigger?version=9", {}, 404, "definition_not_found"),
    ],
)
def test_what_cannot_be_is_refused(
    api: ServedApi, method: str, path: str, body: Any, status: int, code: str
) -> None:
    """And nothing has changed."""
    api.client.put(PATH, json=document())
    refused = api.client.request(method, path, **({} if body is None else {"json": body}))
    assert_problem(refused, status, code)
    assert api.client.get(PATH).json()["version"] == 1
    assert not api.store.stored


def test_what_a_caller_has_is_not_sent_again(api: ServedApi) -> None:
    """Until another version is in force, for who asks for none."""
    api.client.put(PATH, json=document())
    for path in (PATH, f"{PATH}/graph"):
        tag = {"If-None-Match": api.client.get(path).headers["etag"]}
        assert api.client.get(path, headers=tag).status_code == 304
    tag = {"If-None-Match": api.client.get(PATH).headers["etag"]}
    api.client.put(PATH, json=document("y"))
    assert api.client.get(PATH, headers=tag).status_code == 200


def test_an_admin_applies_and_who_may_run_starts() -> None:
    """With a key of each role."""
    keys = {role: new_key(role, role) for role in ("read", "run", "author", "operate", "admin")}
    settings = Settings(api_keys=tuple(entry for _, entry in keys.values()))
    headers = {role: {"Authorization": f"Bearer {secret}"} for role, (secret, _) in keys.items()}
    with served_api(settings) as api:
        for role in ("read", "run", "author", "operate"):
            assert api.client.put(PATH, json=document(), headers=headers[role]).status_code == 403
        assert api.client.put(PATH, json=document(), headers=headers["admin"]).status_code == 201
        assert api.client.post(f"{PATH}/trigger", headers=headers["read"]).status_code == 403
        for role in ("run", "author", "operate", "admin"):
            assert api.client.post(f"{PATH}/trigger", headers=headers[role]).status_code == 202
        assert api.client.get(PATH, headers=headers["read"]).status_code == 200
        assert api.client.delete(PATH, headers=headers["operate"]).status_code == 403


def test_what_an_apply_would_change_is_told(api: ServedApi) -> None:
    """New, changed, the same; of an object or a text. Nothing is stored."""
    api.client.put(PATH, json=document())
    same, changed = document(), document("y")
    other = "name: other\nnodes: [{id: a, handler: echo}]\n"
    answer = api.client.post("/definitions/diff", json={"documents": [same, other]})
    assert answer.status_code == 200
    assert [(item["name"], item["change"], item["becomes"]) for item in answer.json()["items"]] == [
        ("nightly report", "same", 1),
        ("other", "new", 1),
    ]
    (item,) = api.client.post("/definitions/diff", json={"documents": [changed]}).json()["items"]
    assert (item["change"], item["version"], item["becomes"]) == ("changed", 1, 2)
    assert item["differences"] == [
        {"kind": "changed", "node": "a", "field": "config.text", "before": '"x"', "after": '"y"'}
    ]
    assert [item["name"] for item in api.client.get("/definitions").json()["items"]] == ["nightly report"]


def test_wrong_documents_are_refused_together(api: ServedApi) -> None:
    """Each problem at its place: in a text by the lines of that."""
    wrong = "name: other\nnodes:\n  - {id: a, handler: ehco}\n"
    answer = api.client.post(
        "/definitions/diff", json={"documents": [document(), wrong, document("y"), 1, document()]}
    )
    assert_problem(answer, 422, "invalid_workflow")
    assert [(each["code"], each["pointer"], each.get("line")) for each in answer.json()["problems"]] == [
        ("unknown_handler", "/documents/1/nodes/0/handler", 3),
        ("duplicate_name", "/documents/2/name", None),
        ("wrong_type", "/documents/3", 1),
    ]
    bodies: list[dict[str, Any]] = [
        {},
        {"documents": 1},
        {"documents": [], "more": 1},
        {"documents": [{}] * 1001},
    ]
    for body in bodies:
        assert_problem(api.client.post("/definitions/diff", json=body), 422, "invalid_workflow")
    assert_problem(api.client.post("/definitions/diff", json=[]), 422, "invalid_workflow")


def test_what_was_found_right_is_not_checked_twice() -> None:
    """Within a budget; what is wrong, or of another form, is looked at each time."""
    checked = CheckedDocuments(catalog(), Limits(), budget=200)
    first, second = (f"name: {name}\nnodes: [{{id: a, handler: echo}}]\n{'#' * 60}".encode() for name in "ab")
    found = checked.check(first, "yaml")
    assert checked.check(first, "yaml") is found
    assert checked.check(first, "json").checked.malformed
    checked.check(second, "yaml")
    assert checked.check(first, "yaml") is found
    checked.check(second + b"\n#", "yaml")
    assert checked.check(second, "yaml").checked.plan is not None
    assert checked.check(first, "yaml") is not found
    wrong = first.replace(b"echo", b"ehco")
    assert checked.check(wrong, "yaml") is not checked.check(wrong, "yaml")


def test_a_definition_that_is_named_and_not_applied_is_a_warning() -> None:
    """Of a validation, a comparison, an apply and a start, with its place; not once it is applied."""
    node = {"id": "call", "handler": "workflow", "config": {"name": "nightly report"}}
    caller = {"name": "caller", "nodes": [{"id": "g", "nodes": [node]}]}

    registry = catalog()
    registry.collect(calling)

    def asked(client: httpx.Client) -> list[list[str]]:
        answers = [
            client.post("/validate", json=caller).json(),
            client.post("/definitions/diff", json={"documents": [caller]}).json(),
            client.put("/definitions/caller", json=caller).json(),
            client.post("/workflow", json={"workflow": caller}).json(),
        ]
        return [[each["pointer"] for each in answer.get("warnings", [])] for answer in answers]

    place = "/nodes/0/nodes/0/config/name"
    with served_api(registry=registry) as api:
        assert asked(api.client) == [[place], [f"/documents/0{place}"], [place], [f"/workflow{place}"]]
        together = api.client.post("/definitions/diff", json={"documents": [caller, document()]}).json()
        assert together["warnings"] == []
        api.client.put(PATH, json=document())
        assert asked(api.client) == [[], [], [], []]
