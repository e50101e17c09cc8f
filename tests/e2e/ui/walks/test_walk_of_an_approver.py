"""From the list of runs to a request that is approved, on a phone."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import expect

from tests.e2e.documents import node
from tests.e2e.ui.walks.hands import Mouse
from tests.support.rigs.browser import PHONE, Visits, reaches_sideways, violations
from tests.support.rigs.stack_processes import Stack
from tests.support.waiting import wait_until

MOST_ACTS = 5
HOSTILE = "<img src=x onerror=\"document.title='harmed'\">\u202egnp"
SCHEMAS: dict[str, Any] = {
    "no form": None,
    "a form with defaults": {"type": "object", "properties": {"limit": {"type": "number", "default": 5}}},
    "a hostile form": {
        "type": "object",
        "properties": {HOSTILE: {"type": "string", "default": HOSTILE}, "__proto__": {"type": "string"}},
    },
}


@pytest.mark.parametrize("form", SCHEMAS)
def test_a_request_is_approved_with_a_comment_in_few_acts(
    keyed_visit: Visits, page_stack: Stack, form: str
) -> None:
    """At 360 px: Waiting, the request, the comment, Approve. Nothing reaches sideways, axe finds nothing."""
    name = f"release_{uuid4().hex[:10]}"
    schema = {} if SCHEMAS[form] is None else {"schema": SCHEMAS[form]}
    asks = node(name, "approval", prompt=f"May {HOSTILE} go out?", **schema)
    execution = page_stack.start({"name": f"ask {HOSTILE}"[:40], "nodes": [asks]})
    wait_until(page_stack.node_is(execution, name, "waiting"), within_s=40, what="the request")
    page = keyed_visit("/ui/runs", role="decide", width=PHONE, height=740)
    expect(page.get_by_role("heading", name="Runs", exact=True)).to_be_visible()
    hand = Mouse(page)
    hand.press(page.get_by_role("link", name=re.compile("^Waiting")))
    hand.press(page.get_by_role("list", name="What waits").get_by_role("link", name=re.compile(name)))
    ask = page.get_by_role("article", name=name)
    assert not reaches_sideways(page)
    assert violations(page) == []
    hand.write(ask.get_by_label("Comment"), "seen, and go")
    hand.press(ask.get_by_role("button", name="Approve"))
    expect(page.locator(".note.done")).to_contain_text(f"Approved: {name}")
    assert hand.acts <= MOST_ACTS
    assert "harmed" not in page.title()
    given = page_stack.ended(execution).results[name]["result"]
    assert (given["approved"], given["comment"], given["by"]) == (True, "seen, and go", "decide")
