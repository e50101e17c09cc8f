"""Single items of a map, run again: who may, what is said before, and what becomes of the others."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import expect

from tests.e2e.documents import node, workflow
from tests.support.rigs.browser import PHONE, Visits, reaches_sideways, violations
from tests.support.rigs.stack_processes import Stack

HOSTILE = "<img src=x onerror=\"document.title='harmed'\">\u202egnp"


def _mapped(count: int, *, seconds: float = 0) -> dict[str, Any]:
    """Its second item fails, which is tolerated; each item says in which run it ran."""
    each = node("each", "assert", that="{{ item != 1 }}", message=HOSTILE)
    items = {"items": list(range(count)), "key": f"{HOSTILE} {{{{ item }}}}", "tolerated_failures": count}
    after = node("after", "test_wait", after=["each"], seconds=seconds)
    return workflow({**each, "map": items}, after, name="items again")


def test_items_are_selected_and_run_again_by_keyboard(visit: Visits, page_stack: Stack) -> None:
    """`x` selects where one is; the dialog says what becomes of which; keys full of markup are text."""
    execution = page_stack.run(_mapped(300)).status["execution_id"]
    page = visit(f"/ui/runs/{execution}?node=each")
    expect(page.locator('[data-card="each"] .sub')).to_have_text("300 of 300 · 1 failed")
    rows = page.get_by_role("list", name="300 items")
    rows.get_by_role("button").first.focus()
    for key in ("x", "ArrowDown", "x", "End", "x"):
        page.keyboard.press(key)
        if key == "End":
            expect(rows.get_by_role("button", name=re.compile("^Item 299"))).to_be_focused()
    bar = page.get_by_role("group", name="Selected items")
    expect(bar).to_contain_text("3 items selected")
    page.keyboard.press("x")
    expect(bar).to_contain_text("2 items selected")
    assert violations(page) == []
    bar.get_by_role("button", name="Rerun these…").press("Enter")
    dialog = page.get_by_role("dialog", name="Run again")
    expect(dialog).to_contain_text("<img src=x")
    expect(dialog).to_contain_text("Of each 2 items begin again; of the others 298 results kept.")
    assert violations(page) == []
    page.set_viewport_size({"width": PHONE, "height": 740})
    assert not reaches_sideways(page)
    page.set_viewport_size({"width": 1280, "height": 800})
    dialog.get_by_role("button", name="Run 2 items and 1 node again").press("Enter")
    expect(page.locator(".facts")).to_contain_text("Run2")
    expect(page.locator(".verdict")).to_contain_text("Completed in")
    expect(bar).to_have_count(0)
    counts = page_stack.ended(str(execution)).node("each")["map"]
    assert (counts["completed"], counts["failed"]) == (299, 1)
    assert page.title() != "harmed"


def test_a_range_and_all_of_a_list_are_selected(visit: Visits, page_stack: Stack) -> None:
    """With Shift all between two, by mouse and by keyboard, also those that nobody has looked at; all that a
    filter names by one button. The rerun names each of them."""
    execution = page_stack.run(_mapped(700)).status["execution_id"]
    page = visit(f"/ui/runs/{execution}?node=each")
    rows = page.get_by_role("list", name="700 items")
    bar = page.get_by_role("group", name="Selected items")
    rows.get_by_role("checkbox", name="Select item 2", exact=True).click()
    rows.get_by_role("checkbox", name="Select item 6", exact=True).click(modifiers=["Shift"])
    expect(bar).to_contain_text("5 items selected")
    expect(rows.get_by_role("checkbox", name="Select item 4", exact=True)).to_be_checked()
    rows.get_by_role("checkbox", name="Select item 4", exact=True).click(modifiers=["Shift"])
    expect(bar).to_contain_text("2 items selected")
    bar.get_by_role("button", name="Clear").press("Enter")
    expect(bar).to_have_count(0)

    rows.get_by_role("button").first.focus()
    for key in ("x", "End"):
        page.keyboard.press(key)
    expect(rows.get_by_role("button", name=re.compile("^Item 699"))).to_be_focused()
    page.keyboard.press("Shift+X")
    expect(bar).to_contain_text("700 items selected")
    page.keyboard.press("x")
    expect(bar).to_contain_text("699 items selected")
    page.keyboard.press("Control+a")
    expect(bar).to_contain_text("700 items selected")
    assert violations(page) == []
    bar.get_by_role("button", name="Clear").press("Enter")

    page.get_by_role("button", name="699 items completed").press("Enter")
    page.get_by_role("button", name="Select all 699 completed").press("Enter")
    expect(bar).to_contain_text("699 items selected")
    bar.get_by_role("button", name="Rerun these…").press("Enter")
    dialog = page.get_by_role("dialog", name="Run again")
    expect(dialog).to_contain_text("Of each 699 items begin again; of the others 1 as failed as before.")


def test_more_items_than_a_rerun_may_name_are_not_selected(visit: Visits) -> None:
    """The button says how many it takes, and no more are in the request."""
    page = visit("/ui/runs")
    words = page.evaluate(
        """async () => {
            const {allWords} = await import("/ui/static/pages/run/items/chosen_bar.js");
            return [allWords(10_000, "failed"), allWords(10_001, ""), allWords(25_000, "failed")];
        }"""
    )
    assert words == [
        "Select all 10,000 failed",
        "Select the first 10,000 of 10,001",
        "Select the first 10,000 of 25,000 failed",
    ]


def test_what_a_card_says_of_many_items_fits(visit: Visits) -> None:
    """Where the whole is too long for a card, what has failed is said, and of how many."""
    page = visit("/ui/runs")
    said = page.evaluate(
        """async () => {
            const {saidOf} = await import("/ui/static/pages/run/graph/card_words.js");
            const map = {total: 10000, pending: 0, running: 0, completed: 9896, failed: 104, cancelled: 0};
            const node = {id: "each", handler: "set", status: "completed", attempt: 1, dependencies: [], map};
            return saidOf(node, 0, () => undefined).line;
        }"""
    )
    assert said == "104 failed of 10,000"


def test_one_item_is_run_again_where_it_is_read(visit: Visits, page_stack: Stack) -> None:
    """Its own button asks for it alone; the others keep what they gave, the failed one its failure."""
    execution = page_stack.run(_mapped(3)).status["execution_id"]
    page = visit(f"/ui/runs/{execution}?node=each&item=0")
    page.get_by_role("button", name="Rerun this item…").click()
    dialog = page.get_by_role("dialog", name="Run again")
    expect(dialog).to_contain_text("of the others 1 result kept, 1 as failed as before.")
    dialog.get_by_role("button", name="Run 1 item and 1 node again").click()
    expect(page.locator(".facts")).to_contain_text("Run2")
    page_stack.ended(str(execution))


def test_who_may_not_and_when_not(keyed_visit: Visits, page_stack: Stack) -> None:
    """A key that may not steer sees neither boxes nor buttons; while the run goes on, they say why not."""
    execution = page_stack.start(_mapped(3, seconds=300))
    address = f"/ui/runs/{execution}?node=each&item=0"
    for role in ("read", "decide", "run", "author"):
        page = keyed_visit(address, role=role)
        expect(page.get_by_role("region", name="Item 0")).to_contain_text("Completed")
        expect(page.get_by_role("list", name="3 items").get_by_role("button")).to_have_count(3)
        expect(page.get_by_role("checkbox")).to_have_count(0)
        expect(page.get_by_role("button", name="Rerun this item…")).to_have_count(0)
    page = keyed_visit(address, role="operate")
    page.get_by_role("checkbox", name="Select item 2").click()
    for name in ("Rerun these…", "Rerun this item…"):
        button = page.get_by_role("button", name=name)
        expect(button).to_have_attribute("aria-disabled", "true")
        button.dispatch_event("click")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("group", name="Selected items")).to_contain_text("once this run has ended")
    assert violations(page) == []
    page_stack.cancel(execution)
