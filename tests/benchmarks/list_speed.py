"""`python -m tests.benchmarks.list_speed`: the long lists of a run's page in a real browser.

The 10,000 items of a map and the 300 iterations of a node, from a stand-in for the API. Measured: the length
of a frame while one scrolls through them, and while the items are narrowed to those that failed and back some
ten times a second; the CPU time of the page for it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Page, sync_playwright

from tests.benchmarks.drivers.page_standin import PageStandIn, send
from tests.benchmarks.page_speed import ARGUMENTS, CHROMIUM, frames

ITEMS: Final = 10_000
ITERATIONS: Final = 300
FAILS_EVERY: Final = 97
AT: Final = "2026-01-01T00:00:00.000Z"
FAILURE: Final = {"code": "rejected", "message": "the order was rejected: no stock is left"}


def main() -> int:
    """Measure and print."""
    with _ListStandIn() as api, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.on("pageerror", lambda error: print(f"error in the page: {error}"))
        page.goto(f"{api.run_address}?node={api.mapped}")
        page.get_by_role("button", name="Item 0,").wait_for()
        page.locator(".item-rows").hover()
        print(f"{ITEMS} items: scroll {frames(page, _scroll)}, filter {frames(page, _narrow)}")
        page.goto(f"{api.run_address}?node={api.repeated}")
        page.get_by_role("region", name=f"{ITERATIONS} iterations").hover()
        print(f"{ITERATIONS} iterations: scroll {frames(page, _scroll)}")
        browser.close()
    return 0


def _scroll(page: Page, step: int) -> None:
    page.mouse.wheel(0, -400 if (step // 40) % 2 else 400)


def _narrow(page: Page, step: int) -> None:
    if step % 6 == 0:
        page.evaluate("document.querySelector('.items .chip.is-failed').click()")
    page.wait_for_timeout(15)


class _ListStandIn(PageStandIn):
    """One node of its execution is a map, another one has repeated."""

    def __init__(self) -> None:
        super().__init__()
        self.mapped, self.repeated = list(self.nodes)[:2]
        failed = len([item for item in range(ITEMS) if _fails(item)])
        counts = {"total": ITEMS, "pending": 0, "running": 0, "failed": failed, "cancelled": 0}
        ended: dict[str, Any] = {"status": "completed", "attempt": 1, "started_at": AT, "finished_at": AT}
        self.nodes[self.mapped].update(ended, map={**counts, "completed": ITEMS - failed})
        self.nodes[self.repeated].update(ended, iteration=ITERATIONS)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        url = urlsplit(request.path)
        asked = {name: values[-1] for name, values in parse_qs(url.query).items()}
        path = url.path.removeprefix("/workflows/bench/")
        if path == f"nodes/{self.mapped}/items":
            _answer(request, _items(asked))
        elif path == "events" and "limit" in asked:
            _answer(request, {"items": self._events(), "next_cursor": None})
        elif path.removeprefix("nodes/") in self.nodes:
            _answer(request, {**self.nodes[path.removeprefix("nodes/")], "attempts": []})
        else:
            super().answer(request)

    def _events(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for number in range(1, ITERATIONS + 1):
            kind = "node_completed" if number == ITERATIONS else "node_iterated"
            found.append({"kind": "node_queued", "attempt": 1})
            found.append({"kind": kind, "iteration": number})
        return [
            {"id": f"1-{place}", "at": AT, "node": self.repeated, **event}
            for place, event in enumerate(found)
        ]


def _fails(item: int) -> bool:
    return item % FAILS_EVERY == 0


def _items(asked: Mapping[str, str]) -> dict[str, Any]:
    begin, limit = int(asked.get("cursor") or asked.get("from") or 0), int(asked.get("limit", 50))
    found = [item for item in range(begin, ITEMS) if "status" not in asked or _fails(item)]
    items = [
        {"index": item, "key": f"order-{item:05}", "status": "failed" if _fails(item) else "completed",
         "tries": 1, "started_at": AT, "finished_at": AT, "error": FAILURE if _fails(item) else None}
        for item in found[:limit]
    ]  # fmt: skip
    return {"items": items, "next_cursor": str(found[limit]) if len(found) > limit else None}


def _answer(request: BaseHTTPRequestHandler, value: object) -> None:
    send(request, 200, json.dumps(value).encode(), "application/json")


if __name__ == "__main__":
    sys.exit(main())
