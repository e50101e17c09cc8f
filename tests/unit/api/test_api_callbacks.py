"""`callback_url` over HTTP: taken with a workflow, or refused with what to do. What is told of deliveries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from flowengine.execution.delivery.records import Delivery, DeliveryAttempt
from flowengine.settings import Settings
from tests.e2e.answers import assert_problem
from tests.support.servers.served_api import ServedApi, served_api

KEY = "canary-of-sixteen-bytes"
URL = "https://app.example.com/hooks?token=t0ken"
DOCUMENT: dict[str, Any] = {"name": "One", "nodes": [{"id": "a", "handler": "echo", "config": {"text": "x"}}]}


@pytest.fixture(scope="module")
def api() -> Iterator[ServedApi]:
    with served_api(Settings(webhook_key=KEY)) as served:
        yield served


@pytest.fixture(scope="module")
def without_key() -> Iterator[ServedApi]:
    with served_api() as served:
        yield served


def post(api: ServedApi, callback_url: object, **more: object) -> httpx.Response:
    """A workflow with this `callback_url`."""
    return api.client.post("/workflow", json={"workflow": DOCUMENT, "callback_url": callback_url, **more})


@pytest.mark.parametrize("more", [{}, {"trigger": True}], ids=["stored", "started"])
def test_a_callback_url_is_kept_with_the_execution(api: ServedApi, more: dict[str, object]) -> None:
    """Whether it starts at once or not."""
    created = post(api, URL, **more)
    assert created.status_code in (201, 202)
    assert api.store.stored[created.json()["execution_id"]].callback_url == URL


def test_none_is_as_if_it_were_left_out(api: ServedApi) -> None:
    """As of the other fields of an envelope."""
    created = post(api, None)
    assert api.store.stored[created.json()["execution_id"]].callback_url is None


@pytest.mark.parametrize(
    ("url", "code"),
    [
        (5, "wrong_type"),
        ("", "invalid_callback_url"),
        ("ftp://a.example/x", "invalid_callback_url"),
        ("http://169.254.169.254/latest", "invalid_callback_url"),
        ("http://localhost:8000/x", "invalid_callback_url"),
    ],
)
def test_one_that_cannot_be_called_is_refused(api: ServedApi, url: object, code: str) -> None:
    """With its place in the body, beside all that is wrong besides."""
    answer = post(api, url, labels={"a": 1})
    problems = {(problem["code"], problem["pointer"]) for problem in answer.json()["problems"]}
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_workflow")
    assert problems == {(code, "/callback_url"), ("wrong_type", "/labels/a")}


def test_a_service_without_a_key_says_what_to_set(without_key: ServedApi) -> None:
    """An unsigned call could come from anybody: there is none."""
    answer = post(without_key, URL)
    (problem,) = answer.json()["problems"]
    assert (answer.status_code, problem["code"]) == (422, "invalid_callback_url")
    assert "FLOWENGINE_WEBHOOK_KEY" in problem["message"]
    assert without_key.client.post("/workflow", json={"workflow": DOCUMENT}).status_code == 201


def test_a_trigger_brings_none(api: ServedApi) -> None:
    """It belongs to the execution from its beginning."""
    created = post(api, None).json()["execution_id"]
    answer = api.client.post(f"/workflow/trigger/{created}", json={"callback_url": URL})
    assert answer.status_code == 422


def test_deliveries_are_listed_without_what_may_be_secret(api: ServedApi) -> None:
    """Newest first, each with its attempts."""
    created = post(api, URL).json()["execution_id"]
    path = f"/workflows/{created}/deliveries"
    assert api.client.get(path).json() == {"items": [], "next_cursor": None}
    failed = DeliveryAttempt(1_767_323_048_000, 12, 503, "the receiver answered 503")
    api.store.stored[created].deliveries = [
        Delivery(1, 0, "failed", 1, None, (DeliveryAttempt(0, 3, 410, "gone"),), "gone"),
        Delivery(2, 0, "pending", 2, 1_767_323_053_000, (failed,)),
    ]
    items = api.client.get(path).json()["items"]
    assert items[0] == {
        "run": 2,
        "webhook_id": f"{created}-2",
        "url": "https://app.example.com/hooks?token=***",
        "state": "pending",
        "why": None,
        "attempt_count": 1,
        "attempts": [
            {
                "at": "2026-01-02T03:04:08.000Z",
                "status_code": 503,
                "error": "the receiver answered 503",
                "duration_ms": 12,
            }
        ],
        "next_at": "2026-01-02T03:04:13.000Z",
    }
    assert [(item["run"], item["state"], item["why"]) for item in items] == [
        (2, "pending", None),
        (1, "failed", "gone"),
    ]


def test_deliveries_of_what_is_not_there_are_not_found(api: ServedApi) -> None:
    """As of every route of an execution."""
    assert_problem(api.client.get("/workflows/x99/deliveries"), 404, "execution_not_found")


def test_the_key_is_shown_nowhere(api: ServedApi) -> None:
    """Neither among the settings nor in what is made of them."""
    shown = api.client.get("/settings")
    assert shown.status_code == 200
    assert KEY not in shown.text
    assert "FLOWENGINE_WEBHOOK_KEY" in shown.text
    assert KEY not in repr(Settings(webhook_key=KEY))
