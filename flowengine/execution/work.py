"""What the engine asks of a node's work, whatever its kind. Each question ends in `assert_never`.

Beside this module, only `rules.dispatching` looks into the work: it makes the message that starts it. How
much that takes is in the plan (`weights`).
"""

from __future__ import annotations

from typing import assert_never

from flowengine.workflow.plan import PlanNode, Task


def handler_of(node: PlanNode) -> str:
    """The handler that it names."""
    match node.work:
        case Task(handler=handler):
            return handler
        case _ as never:
            assert_never(never)


def queue_of(node: PlanNode) -> str:
    """The queue that its task waits in."""
    match node.work:
        case Task(queue=queue):
            return queue
        case _ as never:
            assert_never(never)


def timeout_ms_of(node: PlanNode) -> int:
    """How long one attempt may take, in milliseconds."""
    match node.work:
        case Task(timeout_ms=timeout_ms):
            return timeout_ms
        case _ as never:
            assert_never(never)


def reads_of(node: PlanNode) -> tuple[int, ...]:
    """The indexes of the nodes whose outputs its templates read."""
    match node.work:
        case Task(reads=reads):
            return reads
        case _ as never:
            assert_never(never)


def primary_of(node: PlanNode) -> str | None:
    """The field of its output that `X.result` means."""
    match node.work:
        case Task(primary=primary):
            return primary
        case _ as never:
            assert_never(never)
