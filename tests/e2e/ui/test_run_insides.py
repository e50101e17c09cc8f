"""What stands for many things in a run: the items of a map, found and read without a pointer."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import expect

from tests.e2e.documents import node, workflow
from tests.support.rigs.browser import PHONE, Visits, reaches_sideways, violations
from tests.support.rigs.stack_processes import Stack

HOSTILE = "<img src=x onerror=alert(1)>\u202eleft"


def _mapped(count: int, *failing: int) -> dict[str, Any]:
    """A map that tolerates the failures of these items."""
    each = node("each", "assert", that=f"{{{{ item not in {list(failing)} }}}}", code="odd", message=HOSTILE)
    items = {"items": list(range(count)), "key": "row {{ item }}", "tolerated_failures": count}
    return workflow({**each, "map": items}, node("after", "set", after=["each"], a=1), name="a map")


def test_a_failed_item_among_many_is_found_by_keyboard(visit: Visits, page_stack: Stack) -> None:
    """The card says how many failed; `i` leads to each in turn, the arrows along the list, with a row for
    each item and draws those in sight; a filter shows one status alone."""
    ended = page_stack.run(_mapped(700, 3, 650))
    page = visit(f"/ui/runs/{ended.status['execution_id']}")
    card = page.locator('[data-card="each"]')
    expect(card.locator(".sub")).to_have_text("700 of 700 · 2 failed")
    expect(card.locator("rect.is-failed")).to_have_count(1)
    card.focus()
    page.keyboard.press("Enter")
    rows = page.get_by_role("list", name="700 items")
    expect(rows.get_by_role("button").first).to_be_visible()
    page.keyboard.press("i")
    item = page.get_by_role("region", name="Item 3")
    expect(item).to_contain_text("<img src=x onerror=alert(1)>\\u202eleft")
    page.keyboard.press("i")
    expect(page.get_by_role("region", name="Item 650")).to_contain_text("odd")
    chosen = rows.locator("[aria-pressed=true]")
    expect(chosen).to_have_accessible_name(re.compile("^Item 650, row 650, failed, odd: <img"))
    assert rows.get_by_role("button").count() < 100
    chosen.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Item 651")).to_contain_text("Completed")
    assert "item=651" in page.url
    page.get_by_role("button", name="2 items failed").press("Enter")
    found = page.get_by_role("list", name="2 items").get_by_role("button")
    expect(found).to_have_text([re.compile("row 3"), re.compile("row 650")])
    assert violations(page) == []


def test_an_item_without_a_key_is_called_by_its_index(visit: Visits, page_stack: Stack) -> None:
    """Its number stands once in its row."""
    each = {**node("each", "set", a="{{ item }}"), "map": {"items": [5, 6]}}
    ended = page_stack.run(workflow(each, name="a map without keys"))
    page = visit(f"/ui/runs/{ended.status['execution_id']}?node=each")
    row = page.get_by_role("list", name="2 items").get_by_role("button").first
    expect(row).to_have_accessible_name(re.compile("^Item 0, completed, "))
    expect(row.locator("code")).to_have_count(0)


def _grouped() -> dict[str, Any]:
    """A group in a group, in which the printer fails."""
    prints = node("print", "assert", after=["address"], that=False, code="paper", message="no paper is left")
    label = {"id": "label", "dependencies": ["pick"], "nodes": [node("address", "set", a=1), prints]}
    order = {"id": "order", "nodes": [node("pick", "set", a=1), label]}
    return workflow(order, node("send", "set", after=["order"], a=1), name="an order")


def test_a_group_is_opened_in_place_and_linked_both_ways(visit: Visits, page_stack: Stack) -> None:
    """`o` opens it, and one in it; nodes there have the drawer of their own run; Escape leads back step by
    step; a child's page names the node that it stands for, and offers no rerun of its own."""
    ended = page_stack.run(_grouped())
    page = visit(f"/ui/runs/{ended.status['execution_id']}")
    card = page.locator('[data-card="order"]')
    card.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Show label")).to_be_visible()
    page.keyboard.press("o")
    expect(page.get_by_role("region", name="Inside order")).to_be_visible()
    page.locator('[data-card="label"]').focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Show print").press("Enter")
    drawer = page.get_by_role("complementary", name="Node print")
    expect(drawer).to_contain_text("no paper is left.")
    expect(page.get_by_role("navigation", name="Groups that are open")).to_contain_text("an orderorderlabel")
    assert page.url.endswith("?open=order&open=label&node=print")
    assert violations(page) == []
    page.get_by_role("link", name="As a run").press("Enter")
    expect(page.locator(".facts")).to_contain_text("Stands forlabel")
    expect(page.get_by_role("button", name="Rerun…")).to_have_count(0)
    page.get_by_role("link", name="The run that it is part of").press("Enter")
    expect(page.get_by_role("complementary", name="Node label")).to_be_visible()
    page.go_back()
    page.go_back()
    for name in ("print", "label", "order"):
        expect(page.get_by_role("complementary", name=f"Node {name}")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("complementary")).to_have_count(0)
        page.keyboard.press("Escape")
    expect(card).to_be_focused()
    assert "?" not in page.url


def test_a_loop_shows_its_iterations_and_what_the_one_before_gave(visit: Visits, page_stack: Stack) -> None:
    """The newest first, rows in sight alone; `previous` while another one follows."""
    loop = node("loop", "set", value="{{ previous | default(0) + iteration }}")
    until = {"until": "{{ iteration == 250 }}", "max_iterations": 300}
    slow = {
        **node("slow", "set", value="{{ [previous | default('none')] }}"),
        "repeat": {**until, "delay_seconds": 60},
    }
    execution = page_stack.start(workflow({**loop, "repeat": until}, slow, name="loops"))
    page = visit(f"/ui/runs/{execution}?node=slow")
    region = page.get_by_role("region", name="1 iteration")
    expect(region.get_by_role("row")).to_have_text([re.compile("#"), re.compile("^1.*Completed")])
    expect(page.get_by_label("slow previous", exact=True)).to_contain_text("none")
    page.get_by_role("button", name="Node before").press("Enter")
    expect(page.get_by_role("complementary")).to_contain_text("It completed with iteration 250.")
    rows = page.get_by_role("region", name="250 iterations").get_by_role("row")
    expect(rows.nth(1)).to_contain_text("250")
    assert rows.count() < 120
    assert violations(page) == []
    page_stack.cancel(execution)


def test_a_node_that_waits_is_answered_in_its_drawer(
    keyed_visit: Visits, visit: Visits, page_stack: Stack
) -> None:
    """By a key that may decide, with a value that is wrong at first; one that may only look has no form. What
    waits for its turn leads to who holds the place."""
    schema = {
        "type": "object",
        "required": ["share"],
        "properties": {"share": {"type": "number", "maximum": 9}},
    }
    asks = node("release", "approval", prompt=f"May {HOSTILE} go out?", schema=schema)
    slot = {"concurrency": {"key": "one desk", "limit": 1}}
    first, second = ({**node(name, "test_wait", seconds=300), **slot} for name in ("first", "second"))
    execution = page_stack.start(workflow(asks, first, second, name="asks"))
    address = f"/ui/runs/{execution}?node=release"
    looks = keyed_visit(address, role="read").get_by_role("complementary", name="Node release")
    expect(looks).to_contain_text("May <img src=x onerror=alert(1)>\\u202eleft go out?")
    expect(looks).to_contain_text("To answer takes a key of the role decide.")
    expect(looks.get_by_role("button", name="Approve")).to_have_count(0)

    page = keyed_visit(address, role="decide", width=PHONE, height=740)
    page.get_by_role("textbox", name="share").fill("10")
    page.get_by_role("button", name="Approve").press("Enter")
    expect(page.get_by_role("textbox", name="share")).to_have_attribute("aria-invalid", "true")
    page.get_by_role("textbox", name="share").fill("9")
    page.get_by_role("textbox", name="Comment").fill("as agreed")
    page.get_by_role("button", name="Approve").press("Enter")
    expect(page.locator(".note.done")).to_be_focused()
    expect(page.locator('[data-card="release"]')).to_have_class("node is-completed selected")
    assert not reaches_sideways(page)

    page = visit(f"/ui/runs/{execution}?node=second")
    turn = page.locator(".turn")
    expect(turn).to_contain_text("place in line1 of 1")
    assert violations(page) == []
    turn.get_by_role("link", name="first").press("Enter")
    expect(page.get_by_role("complementary", name="Node first")).to_be_visible()
    page = visit("/ui/system?part=limits", beside=page)
    expect(page.get_by_role("row", name="one desk")).to_contain_text("1 of 1")
    page_stack.cancel(execution)


def test_a_result_from_the_cache_says_so(visit: Visits, page_stack: Stack) -> None:
    """The second run of the same calls no handler, and its card and its drawer tell."""
    document = workflow({**node("dear", "set", price=40), "cache": {"ttl_seconds": 600}}, name="kept")
    page_stack.run(document)
    page = visit(f"/ui/runs/{page_stack.run(document).status['execution_id']}?node=dear")
    expect(page.locator('[data-card="dear"] .sub')).to_have_text("set · from the cache")
    expect(page.get_by_role("complementary")).to_contain_text("its handler was not called.")
