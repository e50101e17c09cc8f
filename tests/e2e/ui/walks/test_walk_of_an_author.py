"""From a definition to two runs beside each other, as the one who wrote it goes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.documents import node
from tests.e2e.ui.walks.hands import Hands, Keyboard, Mouse
from tests.support.rigs.browser import Visits
from tests.support.rigs.stack_processes import Stack

RUN: Final = re.compile(r"/ui/runs/([0-9a-f]+)$")
HANDS: Final[Mapping[str, Callable[[Page], Hands]]] = {"mouse": Mouse, "keyboard": Keyboard}


def _rates(name: str) -> dict[str, Any]:
    """A price for each country, by a rate that is an input; and their sum, with a label that is one."""
    price = node("price", "compute", operation="multiply", a="{{ item }}", b="{{ inputs.rate }}")
    return {
        "name": name,
        "inputs": {"rate": {"type": "number", "minimum": 1, "default": 2}, "label": {"default": "draft"}},
        "nodes": [
            {**price, "map": {"items": [10, 20, 30], "key": "{{ 'country ' ~ item }}"}},
            node("sum", "set", after=["price"], all="{{ price.result | sum }}", label="{{ inputs.label }}"),
        ],
    }


@pytest.mark.parametrize("by", HANDS)
def test_a_definition_is_started_and_its_runs_are_compared(visit: Visits, page_stack: Stack, by: str) -> None:
    """A wrong value is said at its field and corrected; the run is watched, and begun again as a new one with
    another input; then both stand beside each other. By mouse, and by keyboard alone."""
    name = f"rates-{uuid4().hex[:8]}"
    answer = page_stack.client.put(f"/definitions/{name}", json=_rates(name))
    assert answer.status_code == 201, answer.text
    page = visit("/ui")
    hands = HANDS[by](page)
    hands.press(page.get_by_role("link", name="Definitions"))
    hands.write(page.get_by_role("searchbox"), name)
    expect(page.locator(".defs tbody tr")).to_have_count(1)
    hands.press(page.get_by_role("link", name=name))

    start = page.get_by_role("region", name="Start")
    hands.write(start.get_by_label("rate"), "0.5")
    hands.press(start.get_by_role("button", name="Start run"))
    expect(start.get_by_text("It must be at least 1")).to_be_visible()
    expect(start.get_by_label("rate")).to_be_focused()
    hands.write(start.get_by_label("rate"), "3")
    hands.press(start.get_by_role("button", name="Start run"))
    expect(page).to_have_url(RUN)
    first = page.url
    expect(page.locator(".verdict")).to_contain_text("Completed in")

    hands.press(page.locator('[data-card="price"]'))
    rows = page.get_by_role("list", name="3 items")
    hands.tick(rows.get_by_role("checkbox", name="Select item 0"))
    bar = page.get_by_role("group", name="Selected items")
    expect(bar).to_contain_text("1 item selected")
    hands.press(bar.get_by_role("button", name="Rerun these…"))
    dialog = page.get_by_role("dialog", name="Run again")
    expect(dialog.get_by_role("radio", name="1 item of price")).to_be_checked()
    hands.choose(dialog.get_by_role("radio", name="As a new run"))
    hands.write(dialog.get_by_role("textbox", name="rate"), "4")
    expect(dialog.get_by_role("status")).to_contain_text("because it reads an input that changes")
    hands.write(dialog.get_by_role("textbox", name="rate"), "3")
    hands.write(dialog.get_by_role("textbox", name="label"), '"final"')
    expect(dialog).to_contain_text("Of price 1 item begins again; of the others 2 results kept.")
    hands.press(dialog.get_by_role("button", name="Run 1 item and 1 node again"))
    expect(page.locator(".facts")).to_contain_text("Rerun of")
    expect(page.locator(".verdict")).to_contain_text("Completed in")
    assert page.url != first
    hands.press(page.get_by_role("link", name="compare"))
    expect(page.locator(".said")).to_have_text("1 node gave another result.")
    expect(page.get_by_role("region", name="Inputs").locator("pre")).to_have_text(["draft", "final"])
    nodes = page.get_by_role("region", name="Nodes", exact=True)
    hands.press(nodes.get_by_role("button", name="sum"))
    expect(nodes.locator("pre").first).to_contain_text("label: draft")
    expect(nodes.locator("pre").nth(1)).to_contain_text("label: final")


def test_what_is_cut_is_copied_whole(visit: Visits, page_stack: Stack) -> None:
    """Ids that are shown cut, in the head of a run and in a list, are in a selection from end to end."""
    execution = str(
        page_stack.run({"name": "copied", "nodes": [node("a", "set", x=1)]}).status["execution_id"]
    )
    page = visit(f"/ui/runs/{execution}")
    selected = """each => {
        getSelection().selectAllChildren(each);
        return [getSelection().toString(), each.getBoundingClientRect().width];
    }"""
    shown = page.locator(".run-head .head code")
    copied, width = shown.evaluate(selected)
    assert copied == execution
    assert width < 140
    page.goto(f"{visit.url}/ui/runs?q={execution}")
    copied, _ = page.locator("tr[data-run] .under code").evaluate(selected)
    assert copied == execution


def test_a_dialog_in_the_place_of_another_stays_open(visit: Visits, page_stack: Stack) -> None:
    """The browser tells late that the one before is closed: that closes no other."""
    execution = page_stack.run({"name": "dialogs", "nodes": [node("a", "set", x=1)]}).status["execution_id"]
    page = visit(f"/ui/runs/{execution}")
    page.get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name="Compare with another run…").click()
    expect(page.get_by_role("dialog")).to_have_count(1)
    page.evaluate(
        """async () => {
            const {ask} = await import("/ui/static/pages/run/dialogs/asked.js");
            const before = document.querySelector("dialog");
            const closed = new Promise((tell) => before.addEventListener("close", tell));
            ask({what: "delete"});
            await closed;
        }"""
    )
    dialog = page.get_by_role("dialog", name="Delete this run")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
