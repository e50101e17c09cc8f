"""Tests of workflows and handlers, without servers and without a network: `flowengine test`, and for pytest.

`run` runs a workflow to its end in this process; `context` makes what a handler is called with.
"""

from __future__ import annotations

from flowengine.testing.handler_context import Heard, context
from flowengine.testing.in_pytest import InvalidTestError, NotMockedError, run
from flowengine.testing.running.finished_run import NodeRun, Refusal, Run
from flowengine.testing.running.mocked_handlers import CallMade

__all__ = [
    "CallMade",
    "Heard",
    "InvalidTestError",
    "NodeRun",
    "NotMockedError",
    "Refusal",
    "Run",
    "context",
    "run",
]
