"""The page on which a person answers what runs ask."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import httpx
from playwright.sync_api import Locator, Page, expect

from tests.e2e.documents import node, same
from tests.support.rigs.browser import PHONE, Visits, reaches_sideways, violations
from tests.support.rigs.stack_processes import Stack
from tests.support.waiting import wait_until

LIMIT = {"type": "number", "maximum": 5000, "default": 3000, "description": "Most that may be paid"}
PAYOUT = {"type": "object", "required": ["limit"], "properties": {"limit": LIMIT, "ref": {"type": "string"}}}
MARKUP = "<script>document.title='harmed'</script><img src=x onerror=\"document.title='harmed'\">"
HOSTILE_FIELDS: dict[str, Any] = {
    "__proto__": {"type": "string", "default": MARKUP},
    "constructor": {"enum": [MARKUP, {"toString": 1}, None, 3], "default": 3},
    "toString": True,
    MARKUP: {"type": "string", "pattern": "^(a+)+$", "description": MARKUP + "\u202egnp" + "y" * 4_000},
    "hasOwnProperty": {"type": ["object", "null"], "default": {"toString": 1, "valueOf": 2}},
}


class Asking:
    """An execution that asks a person, by nodes that no other test has."""

    def __init__(
        self, stack: Stack, *, schema: object = PAYOUT, prompt: str = "Pay back 38 refunds?"
    ) -> None:
        self._stack = stack
        self.approval = f"approve_{uuid4().hex[:10]}"
        self.signal = f"told_{uuid4().hex[:10]}"
        self.execution = stack.create(
            {
                "name": f"payout {uuid4().hex}",
                "nodes": [
                    node("score", "set", risk=0.25),
                    node(self.approval, "approval", after=["score"], prompt=prompt, schema=schema),
                    node(self.signal, "signal", names=["corrected", "refused"], schema={"type": "integer"}),
                    same("pay", f"{{{{ {self.approval}.result.data }}}}", after=[self.approval]),
                ],
            }
        )
        stack.trigger(self.execution)
        self.has(waiting=2)

    def has(self, **counts: int) -> None:
        """Wait until so many nodes have these statuses."""

        def reached() -> bool:
            found = self._stack.status(self.execution)["counts"]
            return all(found[status] == count for status, count in counts.items())

        wait_until(reached, within_s=40, what=f"nodes of the execution: {counts}")

    def line(self, page: Page, name: str) -> Locator:
        """Its line in the list."""
        return page.get_by_role("list", name="What waits").get_by_role("link", name=re.compile(name))

    def result(self, name: str) -> Any:
        """What a node has given."""
        view = self._stack.client.get(f"/workflows/{self.execution}/nodes/{name}").json()
        return view["result"]


def test_a_request_is_approved_on_a_phone(keyed_visit: Visits, page_stack: Stack) -> None:
    """From the list to the approved request in four taps. A wrong value is said at its field first."""
    asking = Asking(page_stack)
    page = keyed_visit("/ui/runs", role="decide", width=PHONE, height=740)
    place = page.get_by_role("link", name=re.compile("^Waiting"))
    expect(place).to_contain_text(re.compile(r"\d"))
    place.click()
    expect(asking.line(page, asking.approval)).to_contain_text("Pay back 38 refunds?")
    assert violations(page) == []
    assert not reaches_sideways(page)
    asking.line(page, asking.approval).click()
    ask = page.get_by_role("article", name=asking.approval)
    expect(ask.locator(".about")).to_contain_text("risk: 0.25")
    limit = ask.get_by_label("limit")
    expect(limit).to_have_value("3000")
    assert violations(page) == []
    assert not reaches_sideways(page)
    limit.fill("90000")
    ask.get_by_role("button", name="Approve").click()
    expect(limit).to_be_focused()
    expect(ask.get_by_text("It must be at most 5000")).to_be_visible()
    limit.fill("50.5")
    ask.get_by_label("Comment").fill("seen, and go")
    ask.get_by_role("button", name="Approve").click()
    expect(page.locator(".note.done")).to_contain_text(f"Approved: {asking.approval}")
    expect(page.locator(".note.done")).to_be_focused()
    expect(asking.line(page, asking.approval)).to_have_count(0)
    asking.has(completed=3)
    decided = asking.result(asking.approval)["result"]
    assert (decided["approved"], decided["comment"], decided["by"]) == (True, "seen, and go", "decide")
    assert decided["data"] == {"limit": 50.5}


def test_answers_are_given_by_keyboard(visit: Visits, page_stack: Stack) -> None:
    """A signal is chosen, filled and sent without a mouse. What somebody else has decided is told."""
    visit.allow("status of (409|422)")
    asking = Asking(page_stack)
    page = visit(f"/ui/waiting?run={asking.execution}&node={asking.signal}")
    ask = page.get_by_role("article", name=asking.signal)
    carries = ask.get_by_label("What it carries")
    send = ask.get_by_role("button", name="Send the signal")
    send.press("Enter")
    expect(ask.get_by_label("Signal")).to_be_focused()
    page.keyboard.type("refused")
    page.keyboard.press("Tab")
    expect(carries).to_be_focused()
    page.keyboard.type("2.5")
    page.keyboard.press("Enter")
    expect(ask.get_by_text("No whole number")).to_be_visible()
    carries.fill("7")
    page.keyboard.press("Enter")
    expect(page.locator(".note.done")).to_contain_text("Sent: refused")
    asking.has(completed=2)
    assert asking.result(asking.signal)["result"] == {"name": "refused", "payload": 7}

    page.goto(f"{visit.url}/ui/waiting?run={asking.execution}&node={asking.approval}")
    ask = page.get_by_role("article", name=asking.approval)
    ask.get_by_label("Comment").fill("typed in vain")
    page.route("**/waiting?*", lambda route: route.abort())
    visit.allow("net::ERR_FAILED")
    answer = page_stack.client.post(
        f"/workflows/{asking.execution}/nodes/{asking.approval}/decision", json={"approved": False}
    )
    assert answer.status_code == 202
    ask.get_by_role("button", name="Reject").press("Enter")
    expect(ask.get_by_role("alert")).to_contain_text("was rejected at")
    expect(ask.get_by_label("Comment")).to_have_value("typed in vain")
    page.unroute("**/waiting?*")
    page.reload()
    expect(page.get_by_role("heading", name="This does not wait any more")).to_be_visible()
    assert violations(page) == []


def test_hostile_questions_harm_nothing(visit: Visits, page_stack: Stack) -> None:
    """Markup, names that objects inherit, an expression that never ends: all is text, and is answered."""
    schema = {"type": "object", "properties": HOSTILE_FIELDS}
    asking = Asking(page_stack, schema=schema, prompt=f"{MARKUP} \u202egnp.exe {'m' * 4_000}")
    page = visit(f"/ui/waiting?run={asking.execution}&node={asking.approval}", width=PHONE)
    ask = page.get_by_role("article", name=asking.approval)
    expect(ask.locator(".prompt")).to_contain_text("<script>")
    expect(ask.locator(".prompt")).to_contain_text("\\u202egnp.exe")
    assert page.locator("#app script, #app img").count() == 0
    assert "harmed" not in page.title()
    assert not reaches_sideways(page)
    assert violations(page) == []
    marked = ask.get_by_role("textbox", name=re.compile("^<script>"))
    ask.locator("[id='answer-toString']").fill("[1]")
    marked.fill("a" * 40 + "!")
    visit.allow("status of 422")
    ask.get_by_role("button", name="Approve").click()
    expect(ask.get_by_role("alert")).to_contain_text("It was not taken")
    expect(marked).to_have_attribute("aria-invalid", "true")
    marked.fill("aaa")
    ask.get_by_role("button", name="Approve").click()
    expect(page.locator(".note.done")).to_contain_text("Approved")
    asking.has(completed=3)
    given = asking.result(asking.approval)["result"]["data"]
    assert given == {
        "__proto__": MARKUP,
        "constructor": 3,
        "toString": [1],
        MARKUP: "aaa",
        "hasOwnProperty": {"toString": 1, "valueOf": 2},
    }


def test_a_role_that_may_look_is_offered_no_answer(keyed_visit: Visits, page_stack: Stack) -> None:
    """It sees what is asked, and which role answers; the API refuses it too. A filter says what it hides."""
    asking = Asking(page_stack)
    page = keyed_visit(f"/ui/waiting?kind=signal&run={asking.execution}&node={asking.signal}", role="run")
    ask = page.get_by_role("article", name=asking.signal)
    expect(ask.get_by_role("note")).to_contain_text("the role decide")
    expect(ask.get_by_role("button", name=re.compile("Approve|Reject|Send"))).to_have_count(0)
    expect(asking.line(page, asking.approval)).to_have_count(0)
    page.get_by_role("link", name="Approvals").click()
    expect(asking.line(page, asking.approval)).to_be_visible()
    key = {"Authorization": f"Bearer {keyed_visit.key('run')}"}
    address = f"{page.url.split('/ui')[0]}/workflows/{asking.execution}/signals/refused"
    assert httpx.post(address, json=1, headers=key, trust_env=False).status_code == 403
