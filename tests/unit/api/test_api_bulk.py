"""Actions on many over HTTP: what is answered, and which bodies are refused before anything is begun."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flowengine.execution.requests.bulk import MAX_IDS
from flowengine.execution.requests.listing import Wanted
from tests.support.servers.served_api import ServedApi, served_api

ID = "19b7ca98f2ef2c4d1b3a9e87f60"


@pytest.fixture(scope="module")
def api() -> Iterator[ServedApi]:
    with served_api() as served:
        yield served


def test_an_action_on_ids_is_begun_and_shown(api: ServedApi) -> None:
    """202, with where to look; an id that is told twice is one."""
    body = {"action": "cancel", "ids": [ID, ID, "x2"], "reason": "the wrong day"}
    answer = api.client.post("/workflows/bulk", json=body)
    assert answer.status_code == 202
    begun = answer.json()
    assert answer.headers["location"] == f"/workflows/bulk/{begun['bulk_id']}"
    assert (begun["action"], begun["status"], begun["finished_at"]) == ("cancel", "running", None)
    bulk = api.store.bulks[begun["bulk_id"]]
    assert (bulk.ids, bulk.wanted, bulk.reason) == ((ID, "x2"), None, "the wrong day")
    shown = api.client.get(answer.headers["location"]).json()
    assert (shown["status"], shown["seen"], shown["done"], shown["refused"]) == ("finished", 2, 2, {})


def test_a_filter_is_read_as_that_of_a_list(api: ServedApi) -> None:
    """A text or several; times with their zone."""
    asked = {
        "status": ["failed", "cancelled"],
        "name": "nightly",
        "label": "team:data",
        "created_after": "2026-01-02T03:04:05Z",
        "q": "ni",
    }
    body = {"action": "delete", "filter": asked, "dry_run": True, "force": True}
    bulk_id = api.client.post("/workflows/bulk", json=body).json()["bulk_id"]
    bulk = api.store.bulks[bulk_id]
    assert (bulk.dry_run, bulk.force) == (True, True)
    assert bulk.wanted == Wanted(
        statuses=("failed", "cancelled"),
        name="nightly",
        labels=(("team", "data"),),
        prefix="ni",
        created_after=1767323045000,
    )


def test_a_rerun_has_a_mode(api: ServedApi) -> None:
    """What has failed, unless it says otherwise; its answer counts nodes."""
    for given, mode in ((dict[str, str](), "failed"), ({"mode": "all"}, "all")):
        begun = api.client.post("/workflows/bulk", json={"action": "rerun", "ids": [ID], **given}).json()
        assert api.store.bulks[begun["bulk_id"]].mode == mode
        assert (begun["nodes_reset"], begun["results_reused"]) == (0, 0)


def test_an_empty_filter_is_all(api: ServedApi) -> None:
    """It has to be written, so that nobody asks for it by mistake."""
    answer = api.client.post("/workflows/bulk", json={"action": "pause", "filter": {}})
    assert api.store.bulks[answer.json()["bulk_id"]].wanted == Wanted()


def test_one_that_nobody_knows_is_not_found(api: ServedApi) -> None:
    """With a code of its own."""
    answer = api.client.get("/workflows/bulk/nix")
    assert (answer.status_code, answer.json()["code"]) == (404, "bulk_not_found")


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ({"ids": [ID]}, "out_of_range", "/action"),
        ({"action": "delet", "ids": [ID]}, "out_of_range", "/action"),
        ({"action": "rerun", "ids": [ID], "mode": "fail"}, "out_of_range", "/mode"),
        ({"action": "rerun", "ids": [ID], "mode": 7}, "out_of_range", "/mode"),
        ({"action": "pause", "ids": [ID], "mode": "all"}, "out_of_range", "/mode"),
        ({"action": ["delete"], "ids": [ID]}, "out_of_range", "/action"),
        ({"action": "delete"}, "out_of_range", ""),
        ({"action": "delete", "ids": [ID], "filter": {}}, "out_of_range", ""),
        ({"action": "delete", "ids": []}, "wrong_type", "/ids"),
        ({"action": "delete", "ids": None}, "wrong_type", "/ids"),
        ({"action": "delete", "ids": [ID, 5]}, "wrong_type", "/ids/1"),
        ({"action": "delete", "ids": [str(n) for n in range(MAX_IDS + 1)]}, "out_of_range", "/ids"),
        ({"action": "delete", "filter": []}, "wrong_type", "/filter"),
        ({"action": "delete", "filter": {"stat": "x"}}, "unknown_field", "/filter/stat"),
        ({"action": "delete", "filter": {"status": "fail"}}, "out_of_range", "/filter/status"),
        ({"action": "delete", "filter": {"status": [1]}}, "wrong_type", "/filter/status"),
        ({"action": "delete", "filter": {"label": "team"}}, "out_of_range", "/filter/label"),
        ({"action": "delete", "filter": {"name": 5}}, "wrong_type", "/filter/name"),
        (
            {"action": "delete", "filter": {"created_after": "2026-01-02"}},
            "out_of_range",
            "/filter/created_after",
        ),
        ({"action": "delete", "ids": [ID], "dry_run": "yes"}, "wrong_type", "/dry_run"),
        ({"action": "cancel", "ids": [ID], "force": True}, "out_of_range", "/force"),
        ({"action": "pause", "ids": [ID], "reason": "x"}, "out_of_range", "/reason"),
        ({"action": "cancel", "ids": [ID], "why": "x"}, "unknown_field", "/why"),
        ([ID], "wrong_type", ""),
    ],
)
def test_a_wrong_body_begins_nothing(api: ServedApi, body: object, code: str, pointer: str) -> None:
    """422 with each problem and its place."""
    begun = len(api.store.bulks)
    answer = api.client.post("/workflows/bulk", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_body")
    problems = [(problem["code"], problem["pointer"]) for problem in answer.json()["problems"]]
    assert problems == [(code, pointer)]
    assert len(api.store.bulks) == begun


def test_the_nearest_word_is_named(api: ServedApi) -> None:
    """Of actions and statuses."""
    body = {"action": "delet", "filter": {"status": "faild"}}
    told = [
        problem["message"] for problem in api.client.post("/workflows/bulk", json=body).json()["problems"]
    ]
    assert "did you mean 'delete'" in told[0]
    assert "did you mean 'failed'" in told[1]
