"""What stands around every page: places, keys, signing in and out."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.e2e.ui.posted_runs import Runs
from tests.e2e.ui.walks.hands import Keyboard, follow
from tests.support.rigs.browser import PHONE, Visits, reaches_sideways, violations
from tests.support.rigs.stack_processes import Stack


def test_places_are_reached_by_keyboard(visit: Visits) -> None:
    """`g` and a letter go to a place, `?` lists the keys, Escape closes the list."""
    page = visit("/ui")
    expect(page.get_by_role("link", name="Runs")).to_have_attribute("aria-current", "page")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("g")
    page.keyboard.press("y")
    expect(page).to_have_url(f"{visit.url}/ui/system")


def test_who_opens_the_page_begins_above_its_content(visit: Visits, page_stack: Stack) -> None:
    """The first Tab leads to the places, however many runs there are; a row that has the focus keeps it while
    others come in."""
    runs = Runs(page_stack)
    runs.ended("held")
    page = visit("/ui")
    expect(page.locator("tr[data-run]").first).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="To the content")).to_be_focused()
    hands = Keyboard(page)
    hands.press(page.get_by_role("link", name="Runs", exact=True))
    held = page.get_by_role("link", name="held").first
    held.focus()
    for number in range(3):
        runs.post(f"new {number}")
        expect(page.locator(".arrived")).to_contain_text(re.compile(f"^({number + 1}|[0-9]{{2,}}) newer run"))
    expect(held).to_be_focused()


def test_nothing_is_shown_without_a_session(keyed_visit: Visits) -> None:
    """A wrong key is refused with what to do, a right one opens the page, also where a session has ended;
    signing out closes it."""
    keyed_visit.allow("status of 401")
    page = keyed_visit("/ui/runs", width=PHONE)
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    assert violations(page) == []
    assert not reaches_sideways(page)
    page.get_by_label("Key").fill("fe_wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("Key").fill(keyed_visit.key("read"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Runs", exact=True)).to_be_visible()
    page.context.clear_cookies()
    follow(page, "/ui/definitions")  # the page may have found it out by itself, and have no links any more
    expect(page.get_by_role("status")).to_contain_text("The session has ended.")
    assert violations(page) == []
    page.get_by_label("Key").fill(keyed_visit.key("read"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Definitions", exact=True)).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    expect(page.get_by_role("status")).to_have_count(0)
