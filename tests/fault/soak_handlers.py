"""The soak's handlers, loaded by its workers through FLOWENGINE_HANDLERS."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime

import msgspec

from flowengine.plugin import Context, HandlerError, Later, handler
from tests.fault.soak_turns import noted


class Sum(msgspec.Struct, frozen=True):
    """What to add up, how long to take (seconds), in how many first runs to fail, for how long after a time
    to put the call off, and under which key of a limit that is."""

    values: list[int | str]
    plus: int
    nap_s: float = 0.0
    failing_runs: int = 0
    later_s: float = 0.0
    since: str = ""
    key: str = ""


@handler("soak_sum")
def soak_sum(config: Sum, context: Context) -> dict[str, int]:
    """The sum of the values and `plus`, after a nap; fails in the first `failing_runs` runs."""
    with noted(config.key, context.execution_id, context.run, context.node_id):
        time.sleep(config.nap_s)
    return _sum(config, context)


@handler("soak_later")
async def soak_later(config: Sum, context: Context) -> dict[str, int]:
    """The same, of a handler that needs no thread meanwhile."""
    with noted(config.key, context.execution_id, context.run, context.node_id):
        await asyncio.sleep(config.nap_s)
    return _sum(config, context)


def _sum(config: Sum, context: Context) -> dict[str, int]:
    if config.since and time.time() < datetime.fromisoformat(config.since).timestamp() + config.later_s:
        raise Later(config.later_s)
    if context.run <= config.failing_runs:
        raise HandlerError("planned", f"fails in run {context.run}, as planned")
    return {"result": sum(int(value) for value in config.values) + config.plus}
