"""Executions take turns: many nodes of one do not keep a node of another from running."""

from __future__ import annotations

import pytest

from tests.e2e.documents import node, workflow
from tests.support.rigs.stack_processes import Stack

MANY = 1000


@pytest.mark.proves("flood")
@pytest.mark.parametrize("handler", ["test_hang", "test_wait"])
def test_a_node_does_not_wait_for_a_thousand_of_another_execution(stack: Stack, handler: str) -> None:
    """It has ended while most of these still wait: those that hold threads, and those that do not."""
    seconds = 0.4 if handler == "test_hang" else 5
    flood = stack.start(workflow(*(node(f"n{at}", handler, seconds=seconds) for at in range(MANY))))
    assert stack.run(workflow(node("own", handler, seconds=0))).status["status"] == "completed"
    counts = stack.status(flood)["counts"]
    assert counts["completed"] < MANY / 2
    assert counts["failed"] == 0
    stack.cancel(flood)
    stack.ended(flood)
