"""What no page may be without: axe finds nothing, wide and at 360 px, in both themes."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.documents import node
from tests.e2e.ui.walks.hands import follow
from tests.support.rigs.browser import PHONE, WIDE, Visits, reaches_sideways, violations
from tests.support.rigs.stack_processes import Stack

HOSTILE: Final = "<b onclick=alert(1)>x</b> \u202egnp"
NAME: Final = "axe of all pages"
TABS: Final = ("graph", "timeline", "nodes", "events", "logs", "data")
PARTS: Final = ("queues", "limits", "workers", "letters", "keys", "settings", "audit")


def _document() -> dict[str, Any]:
    each = node("each", "assert", that="{{ item != 2 }}", code="odd", message=HOSTILE)
    inner = [node("first", "set", x=1), node("second", "set", after=["first"], x=HOSTILE)]
    return {
        "name": NAME,
        "description": HOSTILE,
        "labels": {"team": "<b onclick=alert(1)>x</b>"},
        "inputs": {"rate": {"type": "number", "default": 2, "description": HOSTILE}},
        "nodes": [
            {
                **each,
                "map": {"items": [1, 2, 3], "key": f"{HOSTILE} {{{{ item }}}}", "tolerated_failures": 1},
            },
            {"id": "inner", "nodes": inner, "dependencies": ["each"]},
            {
                **node("loop", "set", x="{{ iteration }}"),
                "repeat": {"until": "{{ iteration == 3 }}", "max_iterations": 5},
            },
            {**node("gone", "set", x=1), "when": "{{ inputs.rate > 5 }}"},
            node("last", "assert", after=["inner", "loop"], that=False, message=HOSTILE),
            node("after", "set", after=["last"], x=1),
        ],
    }


@pytest.fixture(scope="module")
def runs(page_stack: Stack) -> tuple[str, str]:
    """Two runs of one definition, in which each kind of node has ended."""
    put = page_stack.client.put(f"/definitions/{NAME}", json=_document())
    assert put.status_code in (200, 201), put.text
    posted = [page_stack.client.post(f"/definitions/{NAME}/trigger?wait=30", json={}) for _ in range(2)]
    one, other = (str(each.json()["execution_id"]) for each in posted)
    return one, other


def _addresses(one: str, other: str) -> dict[str, list[str]]:
    run = f"/ui/runs/{one}"
    return {
        "tabs": [f"{run}?tab={tab}" for tab in TABS],
        "drawer": [
            *(f"{run}?node={name}" for name in ("inner", "loop", "gone", "last", "after")),
            f"{run}?node=each&item=1",
            f"{run}?open=inner&node=second",
        ],
        "places": [
            "/ui/runs",
            "/ui/runs?q=nothing+begins+with+this",
            f"/ui/compare?{urlencode({'left': one, 'right': other})}",
            *(
                f"/ui/definitions{each}"
                for each in ("", f"/{NAME}", f"/{NAME}?tab=graph", f"/{NAME}?tab=document")
            ),
            "/ui/schedules",
            "/ui/waiting",
            "/ui/new",
            f"/ui/new?from={one}",
        ],
        "system": [f"/ui/system?part={part}" for part in PARTS],
    }


@pytest.mark.parametrize("width", [WIDE, PHONE])
@pytest.mark.parametrize("pages", ["tabs", "drawer", "places", "system"])
def test_axe_finds_nothing_on_any_page(visit: Visits, runs: tuple[str, str], pages: str, width: int) -> None:
    """Light and dark; and no page is wider than its window."""
    page = visit("/ui", width=width, height=740)
    found: dict[str, list[str]] = {}
    for address in _addresses(*runs)[pages]:
        follow(page, address)
        _is_there(page)
        faults = violations(page)
        if reaches_sideways(page):
            faults.append("it is wider than its window")
        if faults:
            found[address] = faults
    assert found == {}


def _is_there(page: Page) -> None:
    """What is asked for has come: nothing of the page is bones any more."""
    expect(page.locator("main")).to_be_visible()
    expect(page.locator("main h1, main h2").first).to_be_visible()
    expect(page.locator("[aria-busy=true], .bones")).to_have_count(0)
