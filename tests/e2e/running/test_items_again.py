"""Items of a map that run again through the whole stack: which calls a real service gets, and how often."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.e2e.documents import same, workflow
from tests.support.rigs.stack_processes import Stack
from tests.support.servers.http_server import HttpServer, Reply

KEYS = ("a", "b", "c", "d")


def calls(service: HttpServer) -> Counter[str]:
    """How often the service was called for each item."""
    return Counter({key: service.count(f"/{key}") for key in KEYS})


def said(text: str) -> Reply:
    """An answer of the service."""
    return Reply(headers={"Content-Type": "text/plain"}, body=text.encode())


@pytest.mark.proves("map-items-again", "fork-items")
def test_a_service_is_called_again_for_exactly_the_named_items(stack: Stack, service: HttpServer) -> None:
    """In place and in a new execution; the results stand in the items' order."""
    for key in KEYS:
        service.answers(f"/{key}", said(f"first {key}"))
    each = {
        "id": "each",
        "handler": "http_request",
        "map": {"items": list(KEYS), "key": "{{ item }}"},
        "config": {"url": service.url("/") + "{{ item }}"},
    }
    ended = stack.run(workflow(each, same("below", "{{ each.result }}", after=["each"])))
    assert (ended.errors, calls(service)) == ({}, Counter(KEYS))
    for key in KEYS:
        service.answers(f"/{key}", said(f"again {key}"))
    execution, body = ended.status["execution_id"], {"items": {"each": ["d", "b"]}}
    url = f"/workflows/{execution}/rerun"
    preview = stack.client.post(url, json={**body, "preview": True}).json()
    assert preview["items"] == {"each": {"reset": 2, "reused": 2, "failed": 0, "cancelled": 0}}
    answer = stack.client.post(url, json={**body, "expect": {"run": 1}})
    assert (answer.status_code, answer.json()["items"]) == (202, preview["items"])
    results = stack.ended(execution).results
    assert results["each"]["result"] == ["first a", "again b", "first c", "again d"]
    assert results["below"]["result"] == [results["each"]["result"]]
    assert calls(service) == Counter(KEYS) + Counter(("b", "d"))
    made = stack.client.post(url, json={"items": {"each": ["a"]}, "as": "new"}).json()["execution_id"]
    assert stack.ended(made).results["each"]["result"] == ["again a", "again b", "first c", "again d"]
    assert calls(service) == Counter(KEYS) + Counter(("b", "d", "a"))
    assert stack.ended(execution).results == results
    refused = stack.client.post(url, json={"items": {"each": ["x"], "below": ["1"]}})
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_body")
    assert [each["code"] for each in refused.json()["problems"]] == ["not_a_map", "unknown_item"]
