"""A run whose end has started another one: each of the two leads to the other."""

from __future__ import annotations

from uuid import uuid4

from playwright.sync_api import expect

from tests.e2e.documents import node, workflow
from tests.support.rigs.browser import Visits, violations
from tests.support.rigs.stack_processes import Stack
from tests.support.waiting import wait_until


def test_runs_that_follow_one_another_are_linked_both_ways(visit: Visits, page_stack: Stack) -> None:
    """What could not start is there with its reason."""
    unique = uuid4().hex[:8]
    before, then, wrong = f"extract-{unique}", f"load-{unique}", f"wrong-{unique}"
    after = [{"workflow": before}]
    given = [{"workflow": before, "inputs": {"n": "{{ trigger.outputs.gone }}"}}]
    needs = {"inputs": {"n": {"type": "integer"}}}
    documents = {
        before: workflow(node("a", "set", x=1), name=before),
        then: {**workflow(node("a", "set", x=1), name=then), "after": after},
        wrong: {**workflow(node("a", "set", x=1), name=wrong), "after": given, **needs},
    }
    for name, document in documents.items():
        assert page_stack.client.put(f"/definitions/{name}", json=document).status_code == 201
    execution = page_stack.client.post(f"/definitions/{before}/trigger").json()["execution_id"]
    path = f"/workflows/{execution}"
    wait_until(lambda: len(page_stack.client.get(path).json().get("followers", ())) == 2)
    page = visit(f"/ui/runs/{execution}")
    facts = page.locator(".facts")
    expect(facts).to_contain_text(f"Followed by{then} {wrong} (not started: inputs_invalid)")
    assert violations(page) == []
    facts.get_by_role("link", name=then).press("Enter")
    expect(page.get_by_role("heading", level=1, name=then)).to_be_visible()
    expect(facts).to_contain_text(f"Triggerafter {before}")
    facts.get_by_role("link", name=before).press("Enter")
    expect(page.get_by_role("heading", level=1, name=before)).to_be_visible()
    page = visit(f"/ui/definitions/{before}")
    expect(page.locator(".about-it")).to_contain_text(f"Followed by {then} {wrong}")
    assert violations(page) == []
    page.get_by_role("link", name=then, exact=True).press("Enter")
    expect(page.get_by_role("heading", level=1, name=then)).to_be_visible()
