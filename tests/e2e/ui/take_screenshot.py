"""Takes README's picture of the page: of a real run on a real stack, which goes on though a node has failed.

By hand, when the page looks different: `uv run python -m tests.e2e.ui.take_screenshot`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from flowengine.plugin import Context, HandlerError, handler
from tests.e2e.documents import node, workflow
from tests.support.rigs.stack_processes import ROOT, Stack, running_stack
from tests.support.waiting import wait_until

PICTURE: Final = ROOT / "flowengine/ui/screenshot.png"
ENOUGH_S: Final = 600.0


class Takes(msgspec.Struct, frozen=True):
    """How long it takes, and what it answers at the end if that is an error."""

    seconds: float = 0.2
    status: int = 200


async def _work(config: Takes) -> dict[str, int]:
    await asyncio.sleep(config.seconds)
    if config.status != 200:
        raise HandlerError("bad_status", f"the warehouse answered {config.status}", status_code=config.status)
    return {"rows": 1024}


@handler("sql_query")
async def sql_query(config: Takes, context: Context) -> dict[str, int]:
    """Stands for a query."""
    return await _work(config)


@handler("load_table")
async def load_table(config: Takes, context: Context) -> dict[str, int]:
    """Stands for a load."""
    return await _work(config)


@handler("train_model")
async def train_model(config: Takes, context: Context) -> dict[str, int]:
    """Stands for a training."""
    return await _work(config)


def _step(name: str, by: str, *after: str, seconds: float = 0.2, **config: Any) -> dict[str, Any]:
    return node(name, by, after=after, seconds=seconds, **config)


def document() -> dict[str, Any]:
    """A nightly job: one branch has failed, one trains, all else has ended or waits for them."""
    loads: Sequence[dict[str, Any]] = [
        _step("load_warehouse", "load_table", "join_orders", seconds=1.2, status=503)
        | {"retry": {"max_attempts": 3, "delay_seconds": 0.3}},
        _step("load_archive", "load_table", "join_orders", seconds=0.8),
    ]
    return workflow(
        _step("read_orders", "sql_query", seconds=0.6),
        _step("read_customers", "sql_query", seconds=0.4),
        _step("read_prices", "sql_query", seconds=0.9),
        _step("check_orders", "sql_query", "read_orders"),
        _step("check_prices", "sql_query", "read_prices"),
        _step("join_orders", "sql_query", "check_orders", "read_customers", "check_prices", seconds=0.7),
        *loads,
        _step("refresh_dashboard", "load_table", "load_warehouse"),
        _step("build_features", "sql_query", "join_orders", seconds=0.5),
        _step("train_forecast", "train_model", "build_features", seconds=ENOUGH_S),
        _step("score_customers", "train_model", "build_features", seconds=0.6),
        _step("publish_forecast", "load_table", "train_forecast", "score_customers"),
        name="nightly-orders",
    )


def take(stack: Stack, picture: Path) -> None:
    """Run it, and take the picture once the run is where it should be."""
    # Playwright is imported here: the worker loads this module for its handlers and needs no browser.
    from tests.support.rigs.browser import Chromium

    posted = {"workflow": document(), "labels": {"team": "data", "env": "prod"}, "trigger": True}
    answer = stack.client.post("/workflow", json=posted)
    assert answer.is_success, answer.text
    execution = answer.json()["execution_id"]
    wanted = {"load_warehouse": "failed", "train_forecast": "running", "score_customers": "completed"}
    for name, status in wanted.items():
        wait_until(stack.node_is(execution, name, status), within_s=60, what=f"{name} is {status}")
    chromium = Chromium()
    with chromium.in_hand() as browser:
        context = browser.new_context(
            viewport={"width": 1280, "height": 720}, color_scheme="light", reduced_motion="reduce"
        )
        page = context.new_page()
        page.goto(f"{stack.url}/ui/runs/{execution}?node=load_warehouse")
        page.get_by_text("load_warehouse").first.wait_for()
        page.wait_for_timeout(3000)
        page.evaluate("document.activeElement.blur()")
        page.screenshot(path=picture)
        context.close()
    chromium.close()
    stack.cancel(execution)


def main() -> None:
    """Start a stack, and take it."""
    with running_stack(settings={"FLOWENGINE_HANDLERS": __spec__.name}, settles=False) as stack:
        take(stack, PICTURE)


if __name__ == "__main__":
    main()
