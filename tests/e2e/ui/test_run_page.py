"""The page of one run: its graph as it happens, the way to a cause by keyboard, who may do what."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.documents import node, workflow
from tests.support.rigs.browser import PHONE, Visits, reaches_sideways, violations
from tests.support.rigs.stack_processes import Stack

MARKUP = "<img src=x onerror=alert(1)><script>alert(2)</script> {{ 1 }} \u202eleft\u202c &amp; "
NAME = "<img src=x onerror=alert(3)> \u05e9\u05dc\u05d5\u05dd " + "long" * 30
CAUSE = "the warehouse has no table called orders"
MOST_TABS = 60


def _load(*, name: str = "nightly load", until: Path | None = None) -> dict[str, Any]:
    """Settings, then a load that fails unless the input `fail` is false, then what comes after it.

    `until`: a file; what comes before the load runs until it is there.
    """
    runs = {"seconds": 0} if until is None else {"path": str(until)}
    by = "test_wait" if until is None else "test_wait_for"
    return {
        "name": name,
        "inputs": {"fail": {"type": "boolean", "default": True}},
        "nodes": [
            node("settings", "set", a=1),
            node("fetch", by, after=["settings"], **runs),
            node("load", "assert", after=["fetch"], that="{{ not inputs.fail }}", code="no", message=CAUSE),
            node("publish", "set", after=["load"], a=1),
        ],
    }


def _card(page: Page, node_id: str) -> Locator:
    return page.locator(f'[data-card="{node_id}"]')


def _tab_to(page: Page, target: Locator) -> None:
    """Press Tab until the target has the focus."""
    for _ in range(MOST_TABS):
        if target.evaluate("each => each === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not reach {target}")


@pytest.mark.proves("steered-while-watched")
def test_a_graph_shows_a_run_as_it_happens(visit: Visits, page_stack: Stack, tmp_path: Path) -> None:
    """From its start to its failure: cards, verdict, counts and the browser's title follow; then a rerun that
    someone else began, and its deletion."""
    fetched = tmp_path / "fetched"
    execution = page_stack.create(_load(until=fetched))
    page = visit(f"/ui/runs/{execution}")
    expect(_card(page, "load")).to_have_attribute("aria-label", "load, pending, assert")
    expect(page.locator(".verdict")).to_contain_text("Not started")
    page.get_by_role("button", name="Start").click()
    expect(_card(page, "fetch")).to_have_class("node is-running")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(page.locator(".tools").get_by_role("button", name="Follow")).to_be_visible()
    fetched.touch()
    expect(_card(page, "load")).to_have_class("node is-failed")
    expect(_card(page, "load").locator("use")).to_have_attribute("href", "#i-failed")
    expect(_card(page, "publish")).to_have_attribute("aria-label", "publish, not run, after load")
    expect(page.locator(".verdict")).to_contain_text(
        f"Failed: load: {CAUSE}, and 1 node after it did not run."
    )
    expect(page.get_by_role("button", name="2 failed")).to_be_visible()
    expect(page).to_have_title("nightly load: failed, 1 failed · FlowEngine")
    expect(page.locator(".edge.broken path").first).to_have_attribute("d", re.compile("^M"))

    page.get_by_role("button", name="2 failed").click()
    expect(_card(page, "settings")).to_have_class("node is-completed dim")
    assert "status=failed" in page.url

    page_stack.steer(execution, "rerun")
    expect(page.locator(".facts")).to_contain_text("Run2 earlier runs")
    expect(page.locator(".facts")).to_contain_text("TriggerAPI")
    page.get_by_role("button", name="earlier runs").click()
    expect(page.get_by_role("dialog").get_by_role("row")).to_have_count(3)
    page.keyboard.press("Escape")
    page_stack.ended(execution)
    page.get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name="Delete…").click()
    other = visit(f"/ui/runs/{execution}", beside=page)
    expect(other.locator(".verdict")).to_contain_text("Failed")
    expect(_card(other, "load")).to_be_visible()
    page.get_by_role("button", name="Delete the run").click()
    expect(page).to_have_url(f"{visit.url}/ui/runs")
    expect(other.get_by_role("alert")).to_contain_text("This run was deleted.")


def test_the_keyboard_leads_from_the_list_to_a_cause_and_its_rerun(visit: Visits, page_stack: Stack) -> None:
    """No pointer: list, run, failure, along the edges, another input, a run that completes."""
    page_stack.run(_load(name="by keyboard alone"))
    page = visit("/ui/runs?q=by+keyboard+alone")
    expect(page.get_by_role("link", name="by keyboard alone")).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator(".verdict")).to_contain_text(CAUSE)
    page.keyboard.press("n")
    expect(_card(page, "load")).to_have_class("node is-failed selected")
    assert "node=load" in page.url
    page.keyboard.press("Escape")
    expect(_card(page, "load")).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(_card(page, "fetch")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(_card(page, "publish")).to_be_focused()
    page.keyboard.press("Enter")
    expect(_card(page, "publish")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Escape")

    page.evaluate("document.activeElement.blur()")
    _tab_to(page, page.get_by_role("button", name="Rerun…"))
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Run again")
    expect(dialog).to_contain_text("2 nodes begin again, 2 results are kept.")
    _tab_to(page, dialog.get_by_role("textbox", name="fail"))
    page.keyboard.press("Control+A")
    page.keyboard.type("fals")
    expect(dialog.get_by_role("alert")).to_contain_text("This is no JSON")
    page.keyboard.type("e")
    expect(dialog.get_by_role("button", name="Run 2 nodes again")).not_to_have_attribute(
        "aria-disabled", "true"
    )
    page.keyboard.press("Enter")
    expect(page.locator(".verdict")).to_contain_text("Completed in")
    expect(dialog).to_have_count(0)
    expect(_card(page, "publish")).to_have_class("node is-completed")


def test_from_afar_no_card_is_pointed_at(visit: Visits, page_stack: Stack) -> None:
    """Cards that are hidden but still drawn take no pointer; a press selects what is drawn there."""
    nodes = [node(f"n{at}", "set", after=[f"n{at - 1}"] if at else [], a=1) for at in range(40)]
    ended = page_stack.run(workflow(*nodes, name="from afar"))
    page = visit(f"/ui/runs/{ended.status['execution_id']}")
    _card(page, "n0").locator(".box").hover()
    expect(_card(page, "n0").locator(".box")).to_have_css("stroke-opacity", "1")
    page.get_by_role("button", name="Fit", exact=True).click()
    expect(page.locator("svg.graph.far")).to_be_attached()
    # The card that Tab leads to is drawn from afar too.
    box = _card(page, "n0").bounding_box()
    assert box is not None
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    under = page.evaluate("([x, y]) => document.elementFromPoint(x, y).getAttribute('class')", middle)
    assert under == "cover"
    page.mouse.click(*middle)
    expect(page.get_by_role("heading", name="n0", exact=True)).to_be_visible()


def test_a_graph_opens_where_a_card_is(visit: Visits, page_stack: Stack) -> None:
    """Of a drawing like a staircase the middle of the top is empty: the view begins at the first card."""
    chain = [node(f"n{at}", "set", after=[f"n{at - 1}"] if at else [], a=1) for at in range(40)]
    beside = [node(f"beside_{at}", "set", after=[f"n{at}"], a=1) for at in range(39)]
    ended = page_stack.run(workflow(*chain, *beside, name="staircase"))
    page = visit(f"/ui/runs/{ended.status['execution_id']}")
    expect(_card(page, "n0").locator(".box")).to_be_in_viewport()


def test_nothing_lies_over_the_list_of_a_stack(visit: Visits, page_stack: Stack) -> None:
    """A large drawing has a small map of itself in the corner where the list has its buttons."""
    chain = [node(f"n{at}", "set", after=[f"n{at - 1}"] if at else [], a=1) for at in range(40)]
    beside = [node(f"beside_{at}", "set", after=[f"n{at}"], a=1) for at in range(39)]
    parts = [node(f"part_{at}", "set", after=["n39"], a=1) for at in range(60)]
    ended = page_stack.run(workflow(*chain, *beside, *parts, name="map and list"))
    page = visit(f"/ui/runs/{ended.status['execution_id']}")
    expect(page.locator("svg.minimap")).to_be_visible()
    _card(page, "part_0").press("Enter")
    stack = page.get_by_role("region", name="60 nodes like part_0")
    stack.get_by_role("button", name="Later").click()
    stack.get_by_role("button", name="Earlier").click(timeout=5000)
    expect(stack.get_by_role("status")).to_have_text("1 to 50 of 60")
    stack.get_by_role("button", name="Close the list").click()
    expect(page.locator("svg.minimap")).to_be_visible()


def test_a_hostile_workflow_harms_no_graph(visit: Visits, page_stack: Stack) -> None:
    """Markup and turned text are shown as they are, long names cut, a fan-out is one card with a list; at 360
    px nothing reaches sideways, and axe finds nothing in either theme."""
    document = {
        **workflow(
            node("a" * 60, "assert", that=False, code="no", message=MARKUP * 40),
            *(node(f"part_{number}", "set", a=1) for number in range(60)),
            node("below", "set", after=["a" * 60], a=1),
            name=NAME,
        ),
        "labels": {"team": "<b>data</b>"},
    }
    ended = page_stack.run(document)
    page = visit(f"/ui/runs/{ended.status['execution_id']}", width=PHONE, height=740)
    expect(page.get_by_role("heading", level=1)).to_contain_text("<img src=x onerror=alert(3)>")
    expect(page.locator(".verdict")).to_contain_text("<script>alert(2)</script>")
    expect(_card(page, "a" * 60)).to_have_class("node is-failed")
    expect(page.locator("main img, main script")).to_have_count(0)
    assert not reaches_sideways(page)
    expect(_card(page, "part_0").locator(".id")).to_have_text("part_0 and 59 more")
    _card(page, "part_0").focus()
    page.keyboard.press("Enter")
    stack = page.get_by_role("region", name="60 nodes like part_0")
    expect(stack.get_by_role("button", name="part_49")).to_be_visible()
    stack.get_by_role("button", name="Later").click()
    expect(stack.get_by_role("status")).to_have_text("51 to 60 of 60")
    assert violations(page) == []
    page.keyboard.press("Escape")
    expect(stack).to_have_count(0)


def test_a_role_sees_only_what_it_may_do(keyed_visit: Visits, page_stack: Stack) -> None:
    """`read` only compares runs; `operate` reruns and deletes, and does not post documents."""
    execution = str(page_stack.run(_load(name="roles")).status["execution_id"])
    page = keyed_visit(f"/ui/runs/{execution}", role="read")
    expect(_card(page, "load")).to_have_class("node is-failed")
    expect(page.locator(".actions button")).to_have_text(["More"])
    page.get_by_role("button", name="More").click()
    expect(page.get_by_role("menuitem")).to_have_text(["Compare with another run…"])
    page = keyed_visit(f"/ui/runs/{execution}", role="operate")
    page.get_by_role("button", name="More").click()
    expect(page.get_by_role("menuitem")).to_have_text(["Compare with another run…", "Delete…"])
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Rerun failed 1").click()
    expect(page.locator(".facts")).to_contain_text("Run2")
    expect(page.get_by_role("button", name="Rerun failed 1")).to_be_visible()
    assert violations(page) == []
