"""At 360 px nothing that people write moves a page sideways: it is cut, broken, or scrolls by itself."""

from __future__ import annotations

from typing import Any, Final

import pytest
from playwright.sync_api import Page, expect

from flowengine.queues import stream_key
from tests.e2e.documents import node
from tests.e2e.ui.walks.hands import follow
from tests.support.rigs.browser import PHONE, Visits, reaches_sideways
from tests.support.rigs.stack_processes import Stack

WORD: Final = "unbroken" * 40
NAME: Final = "narrow_" + "n" * 120
FAILS: Final = "fails_" + "f" * 50
SAYS: Final = "says_" + "s" * 50
EACH_CLICK: Final = "all => all.forEach(each => each.click())"
TABS: Final = ("graph", "timeline", "nodes", "events", "logs", "data")


def _document() -> dict[str, Any]:
    long = {WORD: {WORD: [WORD, "word " * 200]}}
    return {
        "name": NAME,
        "description": WORD,
        "labels": {"team": WORD[:60]},
        "inputs": {"i" * 60: {"type": "string", "default": WORD, "description": WORD}},
        "schedules": [{"id": "s" * 60, "cron": "0 0 1 1 *", "inputs": {}}],
        "nodes": [
            node(SAYS, "test_repeat", given=long),
            node(FAILS, "assert", after=[SAYS], that=False, message=WORD),
            node("c" * 60, "set", after=[FAILS], values=long),
        ],
    }


@pytest.fixture(scope="module")
def run(page_stack: Stack) -> str:
    """A run of a definition in which each name and value is long; it has failed."""
    put = page_stack.client.put(f"/definitions/{NAME}", json=_document())
    assert put.status_code in (200, 201), put.text
    posted = page_stack.client.post(f"/definitions/{NAME}/trigger?wait=30", json={})
    return str(posted.json()["execution_id"])


def test_long_words_move_no_page_sideways(visit: Visits, run: str) -> None:
    """Each tab of a run, with and without the drawer; its definition; schedules; a document to be written."""
    page = visit("/ui", width=PHONE, height=740)
    definition = f"/ui/definitions/{NAME}"
    addresses = [
        *(f"/ui/runs/{run}?tab={tab}" for tab in TABS),
        *(f"/ui/runs/{run}?tab={tab}&node={name}" for tab in ("graph", "logs") for name in (SAYS, FAILS)),
        "/ui/definitions",
        *(
            f"{definition}{each}"
            for each in ("", "?tab=graph", "?tab=document", "?tab=versions", "?tab=start")
        ),
        "/ui/schedules",
        "/ui/waiting",
        f"/ui/new?from={run}",
    ]
    assert [address for address in addresses if _reaches_sideways(page, address)] == []


def test_long_data_that_is_opened_moves_no_page_sideways(visit: Visits, run: str) -> None:
    """All that is folded in the data of a run, and the whole of a long line of its logs."""
    page = visit(f"/ui/runs/{run}?tab=data", width=PHONE, height=740)
    data = page.get_by_role("region", name="Data of this run")
    data.locator("summary", has_text="Results of each node").click()
    data.get_by_role("button", name="Get all results").click()
    expect(data.locator("summary", has_text=SAYS)).to_be_visible()
    data.locator("details:not([open]) > summary").evaluate_all(EACH_CLICK)
    assert not reaches_sideways(page)
    page.get_by_role("tab", name="Logs").click()
    expect(page.locator(".lines").first).to_be_visible()
    page.locator(".lines").get_by_role("button", name="characters").evaluate_all(EACH_CLICK)
    expect(page.locator(".lines")).to_contain_text(WORD)
    assert not reaches_sideways(page)


def test_the_place_where_one_is_stands_in_sight(visit: Visits, page_stack: Stack) -> None:
    """Of the places, which scroll sideways; a count that comes later moves it out of sight for no longer."""
    page_stack.trigger(
        page_stack.create({"name": "asks", "nodes": [node("ask", "approval", prompt="Well?")]})
    )
    page = visit("/ui/system", width=PHONE, height=740)
    expect(page.locator(".top nav .count")).to_be_attached()
    for place in ("System", "New", "Runs"):
        current = page.locator(".top nav").get_by_role("link", name=place, exact=True)
        current.click()
        expect(current).to_have_attribute("aria-current", "page")
        expect(current).to_be_in_viewport(ratio=0.95)


def test_a_long_cause_is_cut_in_the_list(visit: Visits, run: str) -> None:
    """A row tells three lines of it."""
    page = visit(f"/ui/runs?q={NAME}", width=PHONE, height=740)
    row = page.locator(f'tr[data-run="{run}"]')
    expect(row).to_contain_text("unbroken")
    box = row.bounding_box()
    assert box is not None
    assert box["height"] < 150


def test_a_letter_moves_no_page_sideways(visit: Visits, page_stack: Stack) -> None:
    """Its table scrolls by itself, and what is for ears only scrolls with it."""
    with page_stack.valkey.connect() as client:
        client.xadd(stream_key("worker"), {"a": "run_node", "p2": "no JSON"})
    page = visit("/ui/system?part=letters", width=PHONE, height=740)
    row = page.get_by_role("row", name="undecodable")
    expect(row).to_be_visible()
    assert not reaches_sideways(page)
    row.get_by_role("button", name="Delete").click()
    assert not reaches_sideways(page)
    page.get_by_role("dialog").get_by_role("button", name="Delete it").click()
    expect(page.get_by_text("There is none.")).to_be_visible()


def _reaches_sideways(page: Page, address: str) -> bool:
    follow(page, address)
    expect(page.locator("main h1, main h2").first).to_be_visible()
    expect(page.locator("[aria-busy=true], .bones")).to_have_count(0)
    return reaches_sideways(page)
