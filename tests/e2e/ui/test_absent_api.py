"""The API goes away and comes back while a page is open."""

from __future__ import annotations

import random

import httpx
from playwright.sync_api import expect

from tests.e2e.ui.posted_runs import Runs
from tests.support.rigs.browser import Visits, violations
from tests.support.rigs.stack_processes import Stack
from tests.support.servers.tcp_proxy import proxying
from tests.support.servers.valkey import free_port


def test_page_keeps_what_it_shows_and_catches_up(visit: Visits, page_stack: Stack) -> None:
    """It says what it could not reach and how old its rows are; when the API is back, the rest follows."""
    visit.allow("net::ERR_")
    runs = Runs(page_stack)
    runs.ended("before")
    port = httpx.URL(page_stack.url).port
    assert port is not None
    with proxying(port) as proxy:
        page = visit(runs.address, url=f"http://127.0.0.1:{proxy.port}")
        expect(page.get_by_role("link", name="before")).to_be_visible()
        expect(page.locator(".live")).to_have_text("Live")
        proxy.lead_to(free_port())
        proxy.cut(1.0, random.Random(0))
        expect(page.locator(".live")).to_have_text("Reconnecting")
        page.get_by_role("button", name="Failed").click()
        expect(page.get_by_role("alert").first).to_contain_text("The API does not answer")
        expect(page.get_by_role("link", name="before")).to_be_visible()
        assert violations(page) == []
        page.get_by_role("link", name="before").click()
        expect(page.get_by_text("The run could not be had.")).to_be_visible()
        runs.ended("meanwhile")
        proxy.lead_to(port)
        page.get_by_role("button", name="Try now").click()
        expect(page.get_by_role("heading", name="before")).to_be_visible()
        page.go_back()
        page.get_by_role("button", name="Failed").click()
        expect(page.get_by_role("alert")).to_have_count(0)
        expect(page.locator(".live")).to_have_text("Live")
        later = page.get_by_role("button", name="1 newer run")
        expect(later.or_(page.get_by_role("link", name="meanwhile"))).to_be_visible()
