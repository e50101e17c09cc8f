"""A node that calls a definition: its child is opened in place, and each of the two leads to the other."""

from __future__ import annotations

from uuid import uuid4

from playwright.sync_api import expect

from tests.e2e.documents import node, workflow
from tests.support.rigs.browser import Visits, violations
from tests.support.rigs.stack_processes import Stack


def test_a_called_definition_is_opened_and_linked_both_ways(visit: Visits, page_stack: Stack) -> None:
    """Its card has a frame, pressed again it opens; the child is a run of its definition, and leads back."""
    name = f"called-{uuid4().hex[:8]}"
    called = {**workflow(node("inner", "set", x=1), name=name), "outputs": {"given": "{{ inner.result.x }}"}}
    assert page_stack.client.put(f"/definitions/{name}", json=called).status_code == 201
    document = workflow(
        {**node("call", "workflow"), "config": {"name": name}},
        node("after", "set", after=["call"], a=1),
        name="calls",
    )
    execution = str(page_stack.run(document).status["execution_id"])
    page = visit(f"/ui/runs/{execution}")
    card = page.locator('[data-card="call"]')
    expect(card.locator(".inner-box")).to_have_count(1)
    card.focus()
    page.keyboard.press("Enter")
    drawer = page.get_by_role("complementary", name="Node call")
    expect(drawer.get_by_label("call result", exact=True)).to_contain_text("given: 1")
    page.keyboard.press("o")
    inside = page.get_by_role("region", name="Inside call")
    expect(inside.locator('[data-card="inner"]')).to_have_class("node is-completed")
    assert violations(page) == []
    inside.get_by_role("link", name="As a run").press("Enter")
    expect(page.get_by_role("heading", level=1, name=name)).to_be_visible()
    expect(page.locator(".facts")).to_contain_text("Stands forcall")
    expect(page.locator(".facts").get_by_role("link", name="version 1")).to_be_visible()
    page.get_by_role("link", name="The run that it is part of").press("Enter")
    expect(drawer).to_be_visible()
    assert page.url.endswith(f"{execution}?node=call")
