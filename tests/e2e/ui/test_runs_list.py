"""The list of runs: what it tells, how it is narrowed, and how it changes while someone reads it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.ui.posted_runs import AFTER, FAILS, Runs
from tests.support.rigs.browser import PHONE, Visits, reaches_sideways, violations
from tests.support.rigs.stack_processes import Stack

MARKUP = "<script>alert('name')</script> <img src=x onerror=alert(1)> {{ 1 + 1 }} %3Cb%3E"
HEBREW = "דוח שבועי (סופי) " + "ש" * 180
LONG = "x" * 200

LISTS_ASKED_FOR = """
performance.getEntriesByType("resource")
  .filter((each) => each.name.includes("/workflows?"))
  .map((each) => each.startTime)
"""


@pytest.fixture
def runs(page_stack: Stack) -> Runs:
    """Posts executions of this test alone."""
    return Runs(page_stack)


def names(page: Page) -> list[str]:
    """The names that are listed, in order."""
    return page.locator("tr[data-run] a.name").all_inner_texts()


def row(page: Page, execution: str) -> str:
    """Selects the row of a run."""
    return f'tr[data-run="{execution}"]'


def test_list_says_why_a_run_failed_and_shows_any_name_as_text(visit: Visits, runs: Runs) -> None:
    """Markup, right-to-left and very long names stay text in their rows; axe finds nothing, at any width."""
    failed = runs.ended(
        "sync-inventory", FAILS, AFTER, labels={"team": "<b>stock</b>", "env": "prod", "x": "v" * 60}
    )
    for name in (MARKUP, HEBREW[:200], LONG):
        runs.ended(name)
    page = visit(runs.address)
    page.on("dialog", lambda dialog: visit.complaints.append(f"a dialog: {dialog.message}"))
    expect(page.locator("tr[data-run]")).to_have_count(4)
    assert MARKUP in names(page)
    assert page.locator("main script, main img, main td b").count() == 0
    mine = page.locator(row(page, failed))
    expect(mine).to_contain_text("Failed")
    expect(mine).to_contain_text("check_stock: negative stock of 3 items")
    expect(mine.get_by_role("img", name="2 of 2 nodes ended")).to_be_visible()
    expect(mine.get_by_role("button", name="team=<b>stock</b>")).to_be_visible()
    assert violations(page) == []
    assert not reaches_sideways(page)
    page.set_viewport_size({"width": PHONE, "height": 700})
    expect(mine).to_contain_text("negative stock")
    assert violations(page) == []
    assert not reaches_sideways(page)


def test_filters_stand_in_the_address(visit: Visits, runs: Runs, page_stack: Stack) -> None:
    """What is typed, pressed or chosen narrows the list; a reload and a step back know it."""
    runs.ended("alpha-one", labels={"team": "data"})
    runs.ended("alpha-two", FAILS, labels={"team": "ops"})
    runs.ended("beta", labels={"team": "data"})
    page = visit(runs.address)
    expect(page.locator("tr[data-run]")).to_have_count(3)
    assert names(page) == ["beta", "alpha-two", "alpha-one"]
    page.get_by_role("searchbox").fill("alpha")
    expect(page.locator("tr[data-run]")).to_have_count(2)
    expect(page).to_have_url(re.compile("[?&]q=alpha"))
    page.get_by_role("button", name="Failed").click()
    expect(page.locator("tr[data-run]")).to_have_count(1)
    page.reload()
    expect(page.get_by_role("searchbox")).to_have_value("alpha")
    expect(page.get_by_role("button", name="Failed")).to_have_attribute("aria-pressed", "true")
    assert names(page) == ["alpha-two"]
    page.get_by_role("searchbox").fill("nothing-begins-so")
    expect(page.get_by_role("heading", name="No run matches")).to_be_visible()
    page.get_by_role("searchbox").fill("label=team:data")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="All", exact=True).click()
    expect(page.locator("tr[data-run]")).to_have_count(2)
    assert names(page) == ["beta", "alpha-one"]
    page.locator("tr[data-run] a.name").first.click()
    expect(page).to_have_url(re.compile("/ui/runs/[0-9a-f]+$"))
    page.go_back()
    expect(page.locator("tr[data-run]")).to_have_count(2)
    page.get_by_role("button", name="team=data remove").click()
    expect(page.locator("tr[data-run]")).to_have_count(3)


def test_rows_change_in_their_places_and_newer_ones_wait(
    visit: Visits, runs: Runs, page_stack: Stack
) -> None:
    """A run that is shown tells its end without a reload; one that comes is shown when somebody asks.

    Whatever happens, the list is asked for no more than once a second.
    """
    page_stack_runs = [runs.post(f"old-{each}", start=False) for each in range(3)]
    page = visit(runs.address)
    looked_at = page.evaluate("performance.now()")
    expect(page.locator("tr[data-run]")).to_have_count(3)
    expect(page.locator(".live")).to_have_text("Live")
    page_stack.trigger(page_stack_runs[1])
    mine = page.locator(row(page, page_stack_runs[1]))
    expect(mine).to_contain_text("Completed")
    expect(mine).to_contain_text("1 node")
    for each in range(3):
        runs.post(f"new-{each}")
    expect(page.get_by_role("button", name="3 newer runs: show them")).to_be_visible()
    assert names(page) == ["old-2", "old-1", "old-0"]
    page.get_by_role("button", name="3 newer runs").click()
    expect(page.locator("tr[data-run]")).to_have_count(6)
    assert names(page)[:3] == ["new-2", "new-1", "new-0"]
    assert page_stack.client.delete(f"/workflows/{page_stack_runs[0]}").is_success
    expect(page.locator(row(page, page_stack_runs[0]))).to_contain_text("Deleted")
    # By the browser's own clock. The first, and what the button asks for at once, come beside them.
    asked = [at / 1000 for at in page.evaluate(LISTS_ASKED_FOR) if at >= looked_at]
    assert len(asked) > 1
    assert len(asked) <= asked[-1] - asked[0] + 3, asked


def test_keyboard_leads_from_the_list_to_a_run_and_back(visit: Visits, runs: Runs) -> None:
    """j and k move, Enter opens, and who comes back stands where they were; older runs are on pages."""
    for each in range(52):
        runs.post(f"run-{each:02}", start=False)
    page = visit(runs.address)
    expect(page.locator("tr[data-run]")).to_have_count(50)
    for key in ("j", "j", "j", "k"):
        page.keyboard.press(key)
    expect(page.get_by_role("link", name="run-50")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="run-50")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("link", name="run-50")).to_be_focused()
    page.get_by_role("link", name="Older").click()
    expect(page.locator("tr[data-run]")).to_have_count(2)
    assert names(page) == ["run-01", "run-00"]
    page.get_by_role("link", name="Newest").click()
    expect(page.locator("tr[data-run]")).to_have_count(50)
    page.keyboard.press("/")
    page.keyboard.type("run-3")
    expect(page.get_by_role("dialog").get_by_role("option").first).to_contain_text("run-39")
    assert violations(page) == []
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="run-38")).to_be_visible()


def test_slow_empty_and_refused_answers_say_what_to_do(visit: Visits, runs: Runs) -> None:
    """Bones while nothing has come; the first step where there are no runs; an error keeps what is shown."""
    visit.allow("status of 500")
    page = visit("/ui/system")
    held: list[Route] = []
    empty: dict[str, Any] = {"items": [], "next_cursor": None}

    def answer(route: Route) -> None:
        if held:
            route.fulfill(json=empty)
        else:
            held.append(route)

    page.route(re.compile(r"/workflows\?"), answer)
    page.get_by_role("link", name="Runs").click()
    expect(page.locator(".bones")).to_be_visible()
    held[0].fulfill(json=empty)
    expect(page.get_by_role("heading", name="No runs yet")).to_be_visible()
    expect(page.locator("main")).to_contain_text("flowengine submit")
    assert violations(page) == []
    page.unroute_all(behavior="wait")
    runs.ended("shown-before")
    page.reload()  # else it may wait behind "newer runs"
    expect(page.get_by_role("link", name="shown-before")).to_be_visible()
    problem = {"type": "x", "title": "The store is full", "status": 500, "code": "internal_error"}
    page.route(re.compile(r"/workflows\?"), lambda route: route.fulfill(status=500, json=problem))
    page.get_by_role("button", name="Failed").click()
    expect(page.get_by_role("alert")).to_contain_text("The store is full")
    expect(page.get_by_role("link", name="shown-before")).to_be_visible()
    page.unroute_all(behavior="wait")
    # It is asked again without it too, and then there is no button any more.
    page.get_by_role("button", name="Try again").evaluate_all("all => all.forEach((each) => each.click())")
    expect(page.get_by_role("alert")).to_have_count(0)
