"""The tabs of a run beside the graph, and the drawer of a node, as a person reads a run in them."""

from __future__ import annotations

from typing import Any, Final

import pytest
from playwright.sync_api import Page, expect

from tests.support.rigs.browser import PHONE, Visits, reaches_sideways, violations
from tests.support.rigs.stack_processes import Stack
from tests.support.waiting import wait_until

FAILING: Final[dict[str, Any]] = {
    "name": "tabs-failing",
    "inputs": {"day": {"type": "string"}, "token": {"type": "string", "secret": True}},
    "nodes": [
        {"id": "settings", "handler": "set", "config": {"day": "{{ inputs.day }}"}},
        {"id": "fetch", "handler": "test_speak", "config": {}, "dependencies": ["settings"]},
        {
            "id": "load",
            "handler": "http_request",
            "config": {"url": "http://127.0.0.1:9/load", "headers": {"Authorization": "{{ inputs.token }}"}},
            "dependencies": ["fetch"],
            "retry": {"max_attempts": 2, "delay_seconds": 0.2, "jitter": 0},
        },
        {"id": "refresh", "handler": "set", "config": {"a": 1}, "dependencies": ["load"]},
        {
            "id": "backfill",
            "handler": "set",
            "config": {"a": 1},
            "dependencies": ["settings"],
            "when": "{{ inputs.day == 'never' }}",
        },
    ],
}
TABS: Final = ("timeline", "nodes", "events", "logs", "data")


@pytest.fixture(scope="module")
def failed_run(page_stack: Stack) -> str:
    """A run that has failed: one node after two tries, one because of it, one skipped."""
    body = {
        "workflow": FAILING,
        "inputs": {"day": "2026-11-27", "token": "a secret token"},
        "trigger": True,
    }
    answer = page_stack.client.post("/workflow", json=body)
    assert answer.status_code == 202, answer.text
    execution: str = answer.json()["execution_id"]
    assert page_stack.ended(execution).status["status"] == "failed"
    return execution


def test_a_failed_run_is_read_by_keyboard(visit: Visits, failed_run: str) -> None:
    """From the bars to the drawer of what failed, through it, and back to the bar it was opened from."""
    page = visit(f"/ui/runs/{failed_run}?tab=timeline")
    row = page.get_by_role("button", name="load, Failed, 2 tries, connection failed")
    expect(row).to_be_visible()
    expect(page.get_by_role("button", name="refresh, Not run, not run: load failed")).to_be_visible()
    expect(page.get_by_role("button", name="backfill, Skipped, skipped: when was false")).to_be_visible()
    page.get_by_role("button", name="settings, Completed").focus()
    for _ in range(10):
        if row.evaluate("row => row === document.activeElement"):
            break
        page.keyboard.press("ArrowDown")
    expect(row).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".tip")).to_contain_text("Try 2 of 2: connection failed")
    page.keyboard.press("Enter")
    drawer = page.get_by_role("complementary", name="Node load")
    expect(drawer.get_by_role("heading", name="load", exact=True)).to_be_focused()
    expect(drawer.locator(".cause")).to_contain_text("refresh did not run because of it.")
    expect(drawer.locator(".tries + table tbody tr")).to_have_count(2)
    expect(drawer.get_by_text("connection_failed").first).to_be_visible()
    expect(drawer.locator("pre")).to_contain_text("***")
    drawer.get_by_role("button", name="Next node").click()
    after = page.get_by_role("complementary", name="Node refresh")
    expect(after.locator(".cause")).to_contain_text("It did not run, because load failed.")
    after.get_by_role("button", name="Node before").click()
    expect(drawer).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("complementary")).to_have_count(0)
    expect(row).to_be_focused()


def test_each_row_of_many_is_reached(visit: Visits, page_stack: Stack) -> None:
    """Of 300 nodes: the one of the address is in sight, and keys lead to the last."""
    nodes = [{"id": f"n{number}", "handler": "set", "config": {"a": 1}} for number in range(300)]
    page = visit(f"/ui/runs/{page_stack.create({'name': 'many rows', 'nodes': nodes})}?tab=nodes&node=n150")
    chosen = page.locator('.nodes [data-node="n150"]')
    expect(chosen).to_be_in_viewport()
    chosen.focus()
    page.keyboard.press("End")
    expect(page.locator('.nodes [data-node="n299"]')).to_be_focused()
    expect(page.locator('.nodes [data-node="n299"]')).to_be_in_viewport()


def test_each_tab_tells_its_part_of_a_failed_run(visit: Visits, failed_run: str) -> None:
    """Nodes: failures first; events: who and why; lines are filtered; data: secrets hidden, asked for."""
    page = visit(f"/ui/runs/{failed_run}?tab=nodes")
    rows = page.locator("table.nodes tbody tr")
    expect(rows.first).to_contain_text("load")
    expect(rows.nth(1)).to_contain_text("Not run")
    expect(rows.nth(1).locator(".c-time")).to_have_text("–")
    page.get_by_role("button", name="Node", exact=True).click()
    expect(rows.first).to_contain_text("backfill")
    page.get_by_label("Filter the nodes").fill("connection")
    expect(page.get_by_text("1 of 5 nodes")).to_be_visible()
    page.get_by_role("button", name="Show all").click()
    expect(rows).to_have_count(5)

    page.keyboard.press("4")
    page.get_by_label("Kind of event").select_option("failures")
    events = page.locator(".events li")
    expect(events).to_have_count(3)
    expect(events.last).to_contain_text("load failed: connection failed. It is tried again.")
    expect(events.first).to_contain_text("refresh did not run: what it depends on failed.")

    page.get_by_role("tab", name="Logs").click()
    lines = page.locator(".log-line")
    expect(lines).to_have_count(4)
    page.get_by_label("Level").select_option("printed")
    expect(lines).to_have_count(2)
    page.get_by_label("Text in the lines").fill("complained")
    expect(lines).to_have_count(1)
    expect(lines).to_contain_text("stderr")

    page.get_by_role("tab", name="Data").click()
    data = page.get_by_role("region", name="Data of this run")
    expect(data.get_by_label("inputs", exact=True)).to_contain_text("token: ***")
    expect(data.locator(".numbers")).to_contain_text("1")
    expect(data.get_by_role("region", name="The document")).to_contain_text("tabs-failing")
    data.locator("summary", has_text="Results of each node").click()
    data.get_by_role("button", name="Get all results").click()
    data.locator("summary", has_text="settings").click()
    expect(data.get_by_label("settings", exact=True)).to_contain_text("2026-11-27")
    data.locator("summary", has_text="Callback deliveries").click()
    expect(data.get_by_text("Nothing was to be sent")).to_be_visible()


def test_a_name_in_a_list_shows_that_it_has_the_focus(visit: Visits, failed_run: str) -> None:
    """Events and lines: the button of a node has a ring when the keyboard comes to it."""
    page = visit(f"/ui/runs/{failed_run}?tab=events")
    for tab, name in (("Events", "load"), ("Logs", "fetch")):
        page.get_by_role("tab", name=tab).click()
        button = page.locator("#view").get_by_role("button", name=name, exact=True).first
        button.focus()
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Tab")
        expect(button).to_be_focused()
        expect(button).to_have_css("outline-style", "solid")


def test_tabs_and_drawer_are_accessible_and_fit_a_phone(visit: Visits, failed_run: str) -> None:
    """axe finds nothing on any tab in either theme, and nothing is wider than 360 px."""
    page = visit(f"/ui/runs/{failed_run}?tab=timeline&node=load")
    found: list[str] = []
    for tab in TABS:
        _show(page, tab)
        if tab == "data":
            page.keyboard.press("Escape")
        found += violations(page)
    assert found == []
    page.set_viewport_size({"width": PHONE, "height": 740})
    for tab in TABS:
        _show(page, tab)
        assert not reaches_sideways(page), tab
    _show(page, "nodes")
    page.locator("table.nodes").get_by_role("button", name="load", exact=True).click()
    expect(page.get_by_role("heading", name="load", exact=True)).to_be_in_viewport()
    assert not reaches_sideways(page)


def _show(page: Page, tab: str) -> None:
    page.get_by_role("tab", name=tab.capitalize()).click()
    expect(page.locator("#view section")).to_be_visible()


def test_a_running_node_is_followed_and_ended_by_hand(
    page_stack: Stack, visit: Visits, keyed_visit: Visits
) -> None:
    """Lines come in by themselves; an operator completes what hangs, with a reason that all then see."""
    nodes = [
        {"id": "chatty", "handler": "test_speak_slowly", "config": {"seconds": 3}},
        {"id": "hangs", "handler": "test_wait", "config": {"seconds": 600}},
        {"id": "after", "handler": "set", "config": {"got": "{{ hangs.answer }}"}, "dependencies": ["hangs"]},
    ]
    execution = page_stack.start({"name": "tabs-live", "nodes": nodes})
    page = visit(f"/ui/runs/{execution}?tab=logs")
    expect(page.locator(".log-line")).to_have_count(10)
    page.get_by_role("tab", name="Timeline").click()
    expect(page.get_by_role("button", name="chatty, Completed")).to_be_visible()
    wait_until(page_stack.node_is(execution, "hangs", "running"), within_s=20, what="the start of the node")

    reader = keyed_visit(f"/ui/runs/{execution}?tab=nodes&node=hangs", role="read")
    cause = reader.get_by_role("complementary", name="Node hangs").locator(".cause")
    expect(cause).to_contain_text("after waits for it")
    expect(reader.get_by_role("button", name="Complete…")).to_have_count(0)

    operator = keyed_visit(f"/ui/runs/{execution}?tab=nodes&node=hangs", role="operate")
    rerun = operator.get_by_role("button", name="Rerun from here…")
    expect(rerun).to_have_attribute("aria-disabled", "true")
    expect(operator.get_by_text("A rerun is possible once this run has ended.")).to_be_visible()
    operator.get_by_role("button", name="Complete…").click()
    dialog = operator.get_by_role("dialog")
    dialog.get_by_label("Result").fill("{no json")
    dialog.get_by_role("button", name="Complete it").click()
    expect(dialog.get_by_role("alert")).to_contain_text("The result is not JSON")
    dialog.get_by_label("Result").fill('{"answer": 42}')
    dialog.get_by_label("Reason").fill("done by hand")
    dialog.get_by_role("button", name="Complete it").click()
    expect(operator.get_by_role("dialog")).to_have_count(0)
    expect(operator.get_by_role("complementary").locator(".cause")).to_contain_text("It completed")
    expect(operator.get_by_label("hangs result", exact=True)).to_contain_text("answer: 42")
    expect(rerun).not_to_have_attribute("aria-disabled", "true")
    page.get_by_role("tab", name="Events").click()
    expect(page.locator(".events li", has_text="completed it: “done by hand”")).to_be_visible()
    assert page_stack.ended(execution).results["after"] == {"result": {"got": 42}}
