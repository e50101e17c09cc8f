"""The page on which one sees whether the service can work."""

from __future__ import annotations

import json
import re

from playwright.sync_api import Route, expect

from flowengine.queues import stream_key
from tests.e2e.ui.walks.hands import follow
from tests.support.rigs.browser import PHONE, Visits, reaches_sideways, violations
from tests.support.rigs.stack_processes import Stack

FOR_ADMINS = ("letters", "keys", "settings", "audit")


def test_a_dead_letter_is_retried_and_deleted(visit: Visits, page_stack: Stack) -> None:
    """Each is asked about first, and said when it is done. The tab counts the letters."""
    page = visit("/ui/system")
    expect(page.get_by_role("row", name=re.compile("^orchestrator"))).to_contain_text("1 process")
    with page_stack.valkey.connect() as client:
        client.xadd(stream_key("worker"), {"a": "run_node", "p2": "no <b>JSON</b>"})
    page.get_by_role("link", name="Dead letters").click()
    expect(page).to_have_url(re.compile("part=letters"))
    row = page.get_by_role("row", name=re.compile("undecodable"))
    expect(row).to_contain_text("Nobody can read it")
    expect(page.get_by_role("link", name="Dead letters 1 dead letter")).to_be_visible()
    assert violations(page) == []
    known = row.locator("code").first.inner_text()
    row.get_by_role("button", name="Retry").click()
    page.get_by_role("dialog").get_by_role("button", name="Retry it").click()
    expect(page.get_by_text("The message is in its queue again.")).to_be_visible()
    # It is set aside once more, as another letter.
    expect(row).not_to_contain_text(known)
    row.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete it").click()
    expect(page.get_by_text("The letter is deleted.")).to_be_visible()
    expect(page.get_by_text("There is none.")).to_be_visible()


def test_what_is_in_work_does_not_count_as_waiting(visit: Visits) -> None:
    """Of five messages two are in work: three wait."""
    queue = {"queue": "worker", "length": 5, "in_flight": 2, "oldest_age_s": 1.0, "consumers": 1}
    queue |= {"dead_letters": 0, "put_off": 0, "handlers": []}
    page = visit("/ui")
    page.route("**/queues", lambda route: route.fulfill(json={"items": [queue]}))
    follow(page, "/ui/system?part=queues")
    cells = page.get_by_role("row", name=re.compile("^worker")).get_by_role("cell")
    expect(cells.nth(0)).to_have_text("3")
    expect(cells.nth(1)).to_have_text("2")
    expect(cells.last).to_have_text("being worked on")


def test_each_part_is_readable_everywhere(visit: Visits) -> None:
    """On a phone, light and dark, and while the API is not reached: what was told stays."""
    page = visit("/ui/system?part=workers", width=PHONE)
    expect(page.get_by_role("row", name=re.compile("^worker"))).to_contain_text("of 16")
    for part in ("queues", "workers", *FOR_ADMINS):
        page.goto(f"{visit.url}/ui/system?part={part}")
        expect(page.locator(".system .empty, .system tbody").first).to_be_visible()
        assert violations(page) == []
        assert not reaches_sideways(page)
    page.goto(f"{visit.url}/ui/system?part=settings")
    page.get_by_role("button", name=re.compile("^Changed")).click()
    changed = page.get_by_role("row", name=re.compile("FLOWENGINE_RETRY_BASE_SECONDS 0.05 changed"))
    expect(changed).to_be_visible()
    visit.allow("Failed to load resource")
    page.goto(f"{visit.url}/ui/system?part=queues")
    row = page.get_by_role("row", name=re.compile("^orchestrator"))
    expect(row).to_be_visible()
    page.route("**/queues", lambda route: route.abort())
    expect(page.get_by_text("The newest state of queues could not be had.")).to_be_visible()
    expect(row).to_be_visible()
    # It is asked again without it too, and then there is no button any more.
    page.get_by_role("button", name="Try again").first.dispatch_event("click")
    page.unroute("**/queues")
    expect(page.get_by_text("The newest state of queues")).to_have_count(0)


def test_a_role_sees_what_it_may(keyed_visit: Visits) -> None:
    """Nothing that a key may not see is asked for. An admin sees the keys, and revokes one."""
    page = keyed_visit("/ui/system", role="read")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    expect(page.get_by_role("link", name="Workers")).to_be_visible()
    expect(page.get_by_role("link", name="Keys")).to_have_count(0)
    page.goto(f"{page.url}?part=keys")
    expect(page.get_by_text("for keys of the role admin")).to_be_visible()
    assert not [url for url in asked if re.search("/(keys|audit|settings|dead-letters)$", url)]

    page = keyed_visit("/ui/system?part=keys", role="admin")
    row = page.get_by_role("row", name=re.compile("^decide"))
    expect(row.get_by_role("button")).to_have_attribute("aria-disabled", "true")
    expect(row.get_by_role("button")).to_have_attribute("title", re.compile("FLOWENGINE_API_KEYS"))
    revoked: list[str] = []

    def keys(route: Route) -> None:
        # A key in Redis would close the stack's open API to the other tests.
        if route.request.method == "DELETE":
            revoked.append(route.request.url)
            route.fulfill(body=json.dumps({"id": "old"}), content_type="application/json")
            return
        kept = {"id": "old", "role": "run", "kept_in": "redis", "created_at": None, "expires_at": None}
        items = [] if revoked else [{**kept, "expired": True, "last_used_at": None}]
        route.fulfill(body=json.dumps({"items": items, "next_cursor": None}), content_type="application/json")

    page.route(re.compile("/keys(/old)?$"), keys)
    page.reload()
    page.get_by_role("button", name="Revoke old").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke it").click()
    expect(page.get_by_text("The key old is revoked.")).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("^old"))).to_have_count(0)
