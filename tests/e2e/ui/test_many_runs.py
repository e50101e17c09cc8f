"""One action on many runs: chosen, previewed, done; and only by those who may."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.e2e.ui.posted_runs import AFTER, FAILS, Runs, waits
from tests.support.rigs.browser import Visits, violations
from tests.support.rigs.stack_processes import Stack


@pytest.fixture
def runs(page_stack: Stack) -> Runs:
    """Posts executions of this test alone."""
    return Runs(page_stack)


def test_many_are_dealt_with_after_a_preview(visit: Visits, runs: Runs, page_stack: Stack) -> None:
    """Chosen by keyboard, counted before anything is done, told when it is; by ids or by the filter."""
    finished = runs.ended("finished")
    failed = runs.ended("failed", FAILS, AFTER)
    running = runs.post("running", waits(100))
    page = visit(runs.address)
    expect(page.locator("tr[data-run]")).to_have_count(3)
    height = "rows => rows.map(row => row.offsetHeight)"
    before = page.locator("tr[data-run]").evaluate_all(height)
    for key in ("j", "x", "j", "x", "j", "x"):
        page.keyboard.press(key)
    bar = page.get_by_role("group", name="Selected runs")
    expect(bar).to_contain_text("3 selected")
    assert page.locator("tr.picked").evaluate_all(height) == before
    expect(bar.get_by_role("button", name="Resume")).to_have_attribute(
        "title", "Possible once a run is paused"
    )
    assert violations(page) == []

    bar.get_by_role("button", name="Rerun failed 1").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("1 run will be rerun.")
    expect(dialog).to_contain_text("2 nodes run again, 0 results are reused.")
    expect(dialog).to_contain_text("2 runs are left alone")
    assert violations(page) == []
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert page_stack.status(failed)["run"] == 1

    bar.get_by_role("button", name="Cancel 1").click()
    expect(dialog).to_contain_text("1 run will be cancelled.")
    dialog.get_by_label("Reason").fill("superseded <b>by another</b>")
    dialog.get_by_role("button", name="Cancel 1 run").click()
    expect(page.get_by_text("1 run cancelled.")).to_be_visible()
    expect(page.locator(f'tr[data-run="{running}"]')).to_contain_text("Cancelled")
    expect(page.locator(f'tr[data-run="{running}"]')).to_contain_text("superseded <b>by another</b>")

    page.get_by_role("button", name="Failed").click()
    expect(page.locator("tr[data-run]")).to_have_count(1)
    page.get_by_role("button", name="Cancelled").click()
    expect(page.locator("tr[data-run]")).to_have_count(2)
    page.get_by_role("checkbox", name="Select all that are shown").click()
    bar.get_by_role("button", name="Delete 2").click()
    dialog.get_by_role("button", name="Delete 2 runs").click()
    expect(page.get_by_text("2 runs deleted.")).to_be_visible()
    assert page_stack.client.get(f"/workflows/{failed}").status_code == 404
    assert page_stack.status(finished)["status"] == "completed"


def test_all_that_match_are_more_than_are_shown(visit: Visits, runs: Runs, page_stack: Stack) -> None:
    """Beyond a page the filter stands for the ids; what comes later is not meant."""
    for each in range(52):
        runs.post(f"many-{each}", start=False)
    page = visit(runs.address)
    page.get_by_role("checkbox", name="Select all that are shown").click()
    page.get_by_role("button", name="Select all that match").click()
    page.get_by_role("button", name="Cancel…").click()
    page.get_by_role("button", name="Cancel 52 runs").click()
    expect(page.get_by_text("52 runs cancelled.")).to_be_visible()


@pytest.mark.parametrize("role", ["read", "operate"])
def test_nobody_sees_a_button_that_they_may_not_press(
    keyed_visit: Visits, runs: Runs, page_stack: Stack, role: str
) -> None:
    """A key that may only read has no boxes and no New; and the API refuses what the page does not offer."""
    execution = runs.ended("guarded", FAILS)
    keyed_visit.allow("status of 40[13]")
    page = keyed_visit(runs.address, role=role)
    expect(page.locator("tr[data-run]")).to_have_count(1)
    expect(page.locator("header")).to_contain_text(f"{role} · {role}")
    may = role == "operate"
    assert page.get_by_role("checkbox").count() == (2 if may else 0)
    assert page.get_by_role("link", name="New run").count() == 0
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.get_by_role("group", name="Selected runs")).to_have_count(1 if may else 0)
    assert violations(page) == []
    answer = page.evaluate(
        """(id) => fetch("/workflows/bulk", {
            method: "POST", headers: {"Content-Type": "application/json"},
            body: JSON.stringify({action: "delete", ids: [id], dry_run: true}),
        }).then((answer) => answer.status)""",
        execution,
    )
    assert answer == (202 if may else 403)


def test_without_a_session_nothing_is_told(keyed_visit: Visits, runs: Runs) -> None:
    """Neither the list nor the stream; and a page whose session ends shows the sign-in, not the runs."""
    keyed_visit.allow("status of 401")
    runs.ended("hidden")
    page = keyed_visit(runs.address)
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    for path in ("/workflows", "/stats", "/events", "/me"):
        assert page.evaluate("(path) => fetch(path).then((answer) => answer.status)", path) == 401, path
    page = keyed_visit(runs.address, role="read", beside=page)
    expect(page.get_by_role("link", name="hidden")).to_be_visible()
    page.context.clear_cookies()
    page.get_by_role("button", name="Failed").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    expect(page.get_by_text("hidden")).to_have_count(0)
    assert re.search("label=suite", page.url)
