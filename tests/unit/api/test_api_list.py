"""`GET /workflows`: what a query asks for, and which queries are refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from flowengine.execution.requests.listing import Wanted
from tests.support.servers.served_api import ServedApi, served_api

MOMENT_MS = 1_772_352_000_000
"""2026-03-01T08:00:00Z"""


@pytest.fixture(scope="module")
def api() -> Iterator[ServedApi]:
    with served_api() as served:
        yield served


def test_without_a_query_the_newest_50_are_asked_for(api: ServedApi) -> None:
    """A list has its items and the cursor of the next page."""
    answer = api.client.get("/workflows")
    assert (answer.status_code, answer.json()) == (200, {"items": [], "next_cursor": None})
    assert api.store.asked == (Wanted(), 50, "")


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("status=failed", {"statuses": ("failed",)}),
        ("status=failed&status=cancelled&status=failed", {"statuses": ("failed", "cancelled")}),
        ("status=cancelling&status=paused", {"statuses": ("cancelling", "paused")}),
        ("name=Nightly%20report", {"name": "Nightly report"}),
        ("label=team:data", {"labels": (("team", "data"),)}),
        ("label=team:data&label=at:12:30", {"labels": (("team", "data"), ("at", "12:30"))}),
        ("label=empty:", {"labels": (("empty", ""),)}),
        ("correlation_id=order-4711", {"correlation_id": "order-4711"}),
        ("q=night", {"prefix": "night"}),
        ("q=", {}),
        ("version=3", {"version": 3}),
        ("parent=0123456789abcdef0123456789a", {"parent": "0123456789abcdef0123456789a"}),
        ("created_after=2026-03-01T08:00:00Z", {"created_after": MOMENT_MS}),
        ("created_before=2026-03-01T08:00:00.250Z", {"created_before": MOMENT_MS + 250}),
        ("created_before=2026-03-01T09:00:00%2B01:00", {"created_before": MOMENT_MS}),
    ],
)
def test_each_parameter_narrows_the_list(api: ServedApi, query: str, wanted: dict[str, Any]) -> None:
    """Those that may be repeated have several values."""
    assert api.client.get(f"/workflows?{query}").status_code == 200
    assert api.store.asked == (Wanted(**wanted), 50, "")


def test_limit_and_cursor_choose_the_page(api: ServedApi) -> None:
    """From 1 to 500."""
    reached = "0123456789abcdef0123456789a"
    for limit in (1, 500):
        assert api.client.get(f"/workflows?limit={limit}&cursor={reached}").status_code == 200
        assert api.store.asked == (Wanted(), limit, reached)


@pytest.mark.parametrize(
    ("query", "code", "said"),
    [
        ("stauts=failed", "unknown_parameter", "did you mean 'status'?"),
        ("parent=none", "invalid_parameter", "the id of an execution"),
        ("version=latest", "invalid_parameter", "from 1 to 999999999"),
        ("status=faild", "invalid_parameter", "did you mean 'failed'?"),
        ("status=failed,cancelled", "invalid_parameter", "repeat 'status'"),
        ("status=", "invalid_parameter", "There is no status ''"),
        ("label=team", "invalid_parameter", "NAME:VALUE"),
        ("label=:data", "invalid_parameter", "NAME:VALUE"),
        ("label=a:b%09c", "invalid_parameter", "NAME:VALUE"),
        ("&".join(f"label=a{at}:b" for at in range(33)), "invalid_parameter", "at most 32 labels"),
        ("name=a&name=b", "invalid_parameter", "given 2 times"),
        ("name=a%09b", "invalid_parameter", "printable text"),
        (f"q={'x' * 201}", "invalid_parameter", "at most 200 characters"),
        ("created_after=yesterday", "invalid_parameter", "a time with its zone"),
        ("created_after=2026-03-01T08:00:00", "invalid_parameter", "a time with its zone"),
        ("created_after=2026-03-01T08:00:00+01:00", "invalid_parameter", "written %2B"),
        ("limit=0", "invalid_parameter", "from 1 to 500"),
        ("limit=501", "invalid_parameter", "from 1 to 500"),
        ("limit=ten", "invalid_parameter", "from 1 to 500"),
        ("cursor=a%20b", "invalid_parameter", "`next_cursor` of a page"),
        ("cursor=null", "invalid_parameter", "`next_cursor` of a page"),
        ("cursor=", "invalid_parameter", "`next_cursor` of a page"),
    ],
)
def test_a_query_that_cannot_be_meant_is_refused(api: ServedApi, query: str, code: str, said: str) -> None:
    """It says what is wrong, and what there is; nothing is asked for."""
    api.store.asked = None
    answer = api.client.get(f"/workflows?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert said in answer.json()["detail"]
    assert api.store.asked is None


@pytest.mark.parametrize(
    "path", ["/waiting", "/definitions", "/schedules", "/dead-letters", "/limits", "/audit"]
)
def test_no_list_takes_an_empty_cursor(api: ServedApi, path: str) -> None:
    """A script that has lost it would read the first page for ever."""
    answer = api.client.get(f"{path}?cursor=")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_parameter")
