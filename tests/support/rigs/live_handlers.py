"""The handlers of stacks that run for real; what they do besides adding up is each worker's own business."""

from __future__ import annotations

from collections.abc import Callable

from flowengine.plugin import Context, handler
from tests.support.checks.reference_model import MODULUS
from tests.support.rigs.harness import Sum

DOINGS: dict[str, Callable[[Context], None]] = {}
"""By the value of WORKER in the worker's environment."""


@handler("sum")
def add_up(config: Sum, context: Context) -> dict[str, int]:
    """One more than the sum of the inputs, after whatever the worker wants done."""
    DOINGS[context.environment("WORKER") or ""](context)
    return {"result": (1 + sum(config.inputs)) % MODULUS}


@handler("later_sum")
async def later_sum(config: Sum, context: Context) -> dict[str, int]:
    """The same, of a handler that needs no thread."""
    return add_up(config, context)
