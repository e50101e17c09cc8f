"""Two runs beside each other."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.e2e.documents import node
from tests.e2e.ui.posted_runs import FAILS, Runs
from tests.support.rigs.browser import PHONE, Visits, reaches_sideways, violations
from tests.support.rigs.stack_processes import Stack

HOSTILE = "<img src=x onerror=alert(1)>"


def test_two_runs_are_selected_and_compared_by_keyboard(visit: Visits, page_stack: Stack) -> None:
    """The older one stands left; what differs comes first, and its results stand beside each other, as text;
    at 360 px nothing reaches sideways, and axe finds nothing."""
    runs = Runs(page_stack)
    runs.ended("first", node("alike", "set", a=1), node("value", "set", x=1), node("alone", "set", a=1))
    runs.ended("second", node("alike", "set", a=1), node("value", "set", x=HOSTILE), FAILS)
    page = visit(runs.address)
    expect(page.get_by_role("link", name="second")).to_be_visible()
    for key in ("j", "x", "j", "x"):
        page.keyboard.press(key)
    page.get_by_role("link", name="Compare").press("Enter")
    expect(page.get_by_role("region", name="Left")).to_contain_text("first")
    expect(page.locator(".said")).to_have_text(
        "The left run is completed, the right one failed; 2 nodes are in one run only; "
        "1 node gave another result."
    )
    nodes = page.get_by_role("region", name="Nodes", exact=True)
    expect(nodes.get_by_role("row", name="alike")).to_have_count(0)
    expect(nodes.locator("tbody td").first).to_have_css("border-bottom-style", "solid")
    nodes.get_by_role("button", name="value").press("Enter")
    expect(nodes.locator("pre").nth(1)).to_contain_text(HOSTILE)
    expect(page.get_by_role("region", name="Lines that differ")).to_contain_text(HOSTILE)
    assert violations(page) == []
    page.set_viewport_size({"width": PHONE, "height": 740})
    assert not reaches_sideways(page)
    nodes.get_by_role("button", name="All nodes").press("Enter")
    expect(nodes.get_by_role("row", name="alike")).to_contain_text("the same")


def test_a_rerun_as_a_new_run_is_compared_with_the_first(visit: Visits, page_stack: Stack) -> None:
    """With another input: the dialog says what begins again; each of the two leads to the other."""
    value = node("value", "set", x="{{ inputs.rate }}")
    document = {
        "name": "a rate",
        "inputs": {"rate": {"default": 2}},
        "nodes": [node("alike", "set", a=1), value],
    }
    first = page_stack.run(document).status["execution_id"]
    page = visit(f"/ui/runs/{first}")
    page.get_by_role("button", name="Rerun…").press("Enter")
    dialog = page.get_by_role("dialog", name="Run again")
    dialog.get_by_role("radio", name="From some nodes").press("Space")
    dialog.get_by_role("radio", name="As a new run").press("Space")
    dialog.get_by_role("textbox", name="rate").fill("3")
    expect(dialog).to_contain_text("1 node begins again, 1 result is kept.")
    dialog.get_by_role("button", name="Run 1 node again").press("Enter")
    expect(page.locator(".facts")).to_contain_text("Rerun of")
    # Each name stands on the line of its fact, also beside facts with a button.
    names = page.locator(".facts dt").evaluate_all(
        "all => all.map(each => each.getBoundingClientRect().bottom)"
    )
    assert max(names) - min(names) < 2
    expect(page.locator(".verdict")).to_contain_text("Completed in")
    assert first not in page.url
    page.get_by_role("link", name="compare").press("Enter")
    expect(page.locator(".said")).to_have_text("1 node gave another result.")
    expect(page.get_by_role("region", name="Inputs").locator("pre")).to_have_text(["2", "3"])
    expect(page.get_by_role("region", name="Document")).to_contain_text("the same document")
    page.get_by_role("region", name="Left").get_by_role("link").press("Enter")
    page.get_by_role("button", name="list them").press("Enter")
    expect(page.get_by_role("dialog").get_by_role("link", name="Compare")).to_be_visible()
    assert violations(page) == []
