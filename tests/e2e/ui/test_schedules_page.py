"""The page of what starts by itself: when, what became of it, and how it is paused and started now."""

from __future__ import annotations

import re
from uuid import uuid4

from playwright.sync_api import Route, expect

from tests.support.rigs.browser import PHONE, Visits, reaches_sideways, violations
from tests.support.rigs.stack_processes import Stack

MARKUP = "<img src=x onerror=\"document.title='harmed'\">\u202egnp"


def _scheduled(stack: Stack) -> str:
    """The name of a definition with two schedules whose times do not come while a test runs."""
    name = f"report-{uuid4().hex[:8]}"
    document = {
        "name": name,
        "schedules": [
            {"id": "nightly", "cron": "0 2 1 1 *", "timezone": "Europe/Berlin"},
            {"id": "rarely", "every_seconds": 30 * 86_400},
        ],
        "nodes": [{"id": "report", "handler": "set", "config": {"value": 1}}],
    }
    assert stack.client.put(f"/definitions/{name}", json=document).status_code == 201
    return name


def test_a_schedule_is_paused_resumed_and_started(visit: Visits, page_stack: Stack) -> None:
    """Each is asked about first and told when it is done; the history and the definition's page show it."""
    name = _scheduled(page_stack)
    page = visit("/ui/schedules")
    row = page.get_by_role("row", name=re.compile(f"^{name} rarely"))
    expect(row).to_contain_text("every 30 days")
    expect(row.locator(".c-next")).to_contain_text(re.compile("in 29 d 23 h"))
    assert violations(page) == []
    row.get_by_role("button", name=f"Pause: {name} rarely").press("Enter")
    page.get_by_role("dialog").get_by_role("button", name="Pause it").press("Enter")
    expect(page.locator(".note.done")).to_contain_text("is paused")
    expect(row.locator(".c-next")).to_contain_text("Paused")
    row.get_by_role("button", name=f"Start now: {name} rarely").click()
    page.get_by_role("dialog").get_by_role("button", name="Start it").click()
    expect(page.locator(".note.done")).to_contain_text("one has started")
    found = page.locator(".note.done").get_by_role("link").get_attribute("href") or ""
    run = page_stack.ended(found.rsplit("/", 1)[-1]).status
    assert run["status"] == "completed"
    row.get_by_role("button", name=f"Resume: {name} rarely").click()
    page.get_by_role("dialog").get_by_role("button", name="Resume it").click()
    expect(row.locator(".c-next")).to_contain_text(re.compile("in 29 d"))
    row.get_by_role("button", name=f"History: {name} rarely").click()
    history = page.get_by_role("dialog").get_by_role("listitem")
    expect(history).to_contain_text(re.compile("Started.*by hand"))
    assert violations(page) == []
    page.keyboard.press("Escape")
    row.get_by_role("link", name=name).click()
    card = page.get_by_role("region", name="Schedules")
    expect(card).to_contain_text("every 30 days")
    expect(card).to_contain_text("0 2 1 1 * Europe/Berlin")
    expect(card.get_by_role("link", name=re.compile("^Started, planned for"))).to_be_visible()
    page.set_viewport_size({"width": PHONE, "height": 740})
    assert violations(page) == []
    assert not reaches_sideways(page)


def test_times_of_a_schedule_are_told_in_words(visit: Visits) -> None:
    """Days by number and by name; what is not simple stays as it is written."""
    page = visit("/ui/schedules")
    crons = {
        "0 7 * * 1": "Mondays at 07:00 UTC",
        "0 7 * * MON": "Mondays at 07:00 UTC",
        "30 6 * * mon-fri": "Monday to Friday at 06:30 UTC",
        "0 7 * * MON,WED": "0 7 * * MON,WED UTC",
    }
    words = page.evaluate(
        """async (crons) => {
            const { whenWords } = await import("/ui/static/pages/schedules/schedule.js");
            return crons.map((cron) => whenWords({ cron, every_seconds: null, timezone: "UTC" }));
        }""",
        list(crons),
    )
    assert words == list(crons.values())


def test_schedules_by_role_and_with_hostile_words(keyed_visit: Visits, page_stack: Stack) -> None:
    """A key is offered what it may do. What a refusal says is text. An empty list says what to do next."""
    name = _scheduled(page_stack)

    def answer(route: Route) -> None:
        found = route.fetch()
        items = [each for each in found.json()["items"] if each["name"] == name][:1]
        moment = items[0]["next_times"][0]
        refusal = {"at": moment, "scheduled_at": moment, "outcome": "refused", "execution_id": None}
        items[0]["last"] = [
            {**refusal, "until": None, "code": "inputs_invalid", "message": MARKUP, "by": None}
        ]
        items[0]["held_by"] = ["1a2b3c"]
        route.fulfill(json={"items": items, "next_cursor": None})

    page = keyed_visit("/ui/runs", role="run", width=PHONE)
    page.route(re.compile(r"/schedules\?limit"), answer)
    page.goto(f"{page.url.split('/ui')[0]}/ui/schedules")
    expect(page.get_by_role("button", name=f"Start now: {name} nightly")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("^Pause"))).to_have_count(0)
    expect(page.get_by_text("inputs_invalid")).to_be_visible()
    expect(page.get_by_text("Held up by")).to_be_visible()
    assert page.title() == "Schedules · FlowEngine"
    assert not reaches_sideways(page)
    assert violations(page) == []
    page.unroute(re.compile(r"/schedules\?limit"))
    page.route(
        re.compile(r"/schedules\?limit"), lambda route: route.fulfill(json={"items": [], "next_cursor": None})
    )
    page.reload()
    expect(page.get_by_role("heading", name="No schedules yet")).to_be_visible()
    assert violations(page) == []
