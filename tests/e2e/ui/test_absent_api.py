"""The API goes away and comes back while a page is open."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.e2e.ui.posted_runs import Runs
from tests.support.rigs.browser import Visits, violations
from tests.support.rigs.stack_processes import FLOWENGINE, START_S, Process, Stack
from tests.support.servers.valkey import free_port
from tests.support.waiting import wait_until


def test_page_keeps_what_it_shows_and_catches_up(visit: Visits, page_stack: Stack) -> None:
    """It says what it could not reach and how old its rows are; when the API is back, the rest follows."""
    visit.allow("ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET")
    runs, port = Runs(page_stack), free_port()
    api = _api(page_stack, port)
    runs.ended("before")
    page = visit(runs.address, url=f"http://127.0.0.1:{port}")
    expect(page.get_by_role("link", name="before")).to_be_visible()
    expect(page.locator(".live")).to_have_text("Live")
    api.close()
    expect(page.locator(".live")).to_have_text("Reconnecting")
    page.get_by_role("button", name="Failed").click()
    expect(page.get_by_role("alert").first).to_contain_text("The API does not answer")
    expect(page.get_by_role("link", name="before")).to_be_visible()
    assert violations(page) == []
    runs.ended("meanwhile")
    _api(page_stack, port)
    page.get_by_role("button", name="Failed").click()
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.locator(".live")).to_have_text("Live")
    expect(
        page.get_by_role("button", name="1 newer run").or_(page.get_by_role("link", name="meanwhile"))
    ).to_be_visible()


def _api(stack: Stack, port: int) -> Process:
    api = stack.launch("other-api", [FLOWENGINE, "api", "--port", str(port)])
    wait_until(lambda: api.records("api.started"), within_s=START_S, what="the API's start")
    return api
