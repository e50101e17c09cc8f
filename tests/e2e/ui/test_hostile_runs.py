"""What a hostile workflow says and returns harms no page: it is text, cut where it is long."""

from __future__ import annotations

from typing import Final

import pytest
from playwright.sync_api import Page, expect

from tests.support.rigs.browser import Visits, reaches_sideways
from tests.support.rigs.stack_processes import Stack

MARKUP: Final = "<script>document.title='harmed'</script><img src=x onerror=\"document.title='harmed'\">"
ACTING: Final = "\x1b[31mred\x1b[0m \x1b]0;title\x07 \u202egnp.exe\u202c \u0645\u0631\u062d\u0628\u0627"
LONG: Final = "long " + "m" * 9_000
BYTES: Final = 1_000_000


@pytest.mark.proves("hostile-page")
def test_hostile_runs_harm_no_page(page_stack: Stack, visit: Visits) -> None:
    """Names, errors, lines and results full of markup, escapes and marks of direction; results of 5 MB."""
    nodes = [
        {"id": "markup", "handler": "test_repeat", "config": {"given": {MARKUP: MARKUP}}},
        {"id": "acting", "handler": "test_repeat", "config": {"given": ACTING}},
        {"id": "long", "handler": "test_repeat", "config": {"given": LONG}},
        {"id": "fails", "handler": "assert", "config": {"that": "{{ 1 > 2 }}", "message": MARKUP + ACTING}},
        *({"id": f"big_{n}", "handler": "test_big", "config": {"size": BYTES}} for n in range(5)),
    ]
    name = f"{MARKUP} \u0645\u0631\u062d\u0628\u0627"
    execution = page_stack.run({"name": name, "nodes": nodes}).status["execution_id"]

    page = visit(f"/ui/runs/{execution}?tab=nodes&node=fails")
    cause = page.get_by_role("complementary").locator(".cause")
    expect(cause).to_contain_text("<script>")
    expect(cause).to_contain_text("\\u202egnp.exe")
    _is_unharmed(page)

    page.get_by_role("tab", name="Logs").click()
    lines = page.locator(".lines").first
    expect(lines).to_contain_text("\\x1b]0;title\\x07 \\u202egnp.exe\\u202c")
    expect(lines).to_contain_text("red")
    lines.get_by_role("button", name="characters").first.click()
    _is_unharmed(page)

    page.get_by_role("tab", name="Events").click()
    expect(page.locator(".events li").first).to_contain_text("The run ended: failed.")
    page.get_by_role("tab", name="Data").click()
    data = page.get_by_role("region", name="Data of this run")
    data.locator("summary", has_text="Results of each node").click()
    data.get_by_role("button", name="Get all results").click()
    data.locator("summary", has_text="big_4").click()
    folded = data.get_by_label("big_4", exact=True).get_by_role("button")
    expect(folded).to_have_text(f"all {BYTES:,} characters")
    data.locator("summary", has_text="markup").click()
    expect(data.get_by_label("markup", exact=True)).to_contain_text(f"{MARKUP}: {MARKUP}")
    shown = data.locator("details", has=page.get_by_label("big_4", exact=True)).last
    with page.expect_download() as download:
        shown.get_by_role("button", name="Download").click()
    assert download.value.path().stat().st_size > BYTES
    _is_unharmed(page)


def _is_unharmed(page: Page) -> None:
    """No element came of a text, no title was set by one, and nothing is wider than the window."""
    assert page.title() != "harmed"
    assert page.locator("#app script, #app img").count() == 0
    assert not reaches_sideways(page)
