"""What became of an execution that has run in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from flowengine.execution.records import ExecutionError, NodeError
from flowengine.execution.status import ExecutionStatus, NodeStatus, SkipReason
from flowengine.testing.running.mocked_handlers import CallMade, Unmocked


class NodeRun(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a node. `result` is what `X.result` means in templates, `output` all that it gave; both
    are None unless it has completed. `handler`: which it has; `group` for a group. `attempts`: how often it
    was tried; 0: never. `iterations`: of a node that repeats."""

    status: NodeStatus
    handler: str
    attempts: int
    result: Any
    output: Any
    error: NodeError | None
    skipped: SkipReason | None
    tolerated: bool
    iterations: int | None


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an execution.

    `all_nodes`: by their addresses (`group.node` of a node in a group), each time that they ran: the nodes of
    a group may run once for each item or iteration. `calls`: of handlers and of what stood for them, in their
    order. `unmocked`: what would have called out. `seconds`: how long it took by its own clock. `refused`:
    the error with which its start was refused; then nothing ran. `stopped`: why it was given up before its
    end. `items`: what became of the node in each item of a map whose items run apart.
    """

    status: ExecutionStatus | None
    outputs: Mapping[str, Any] | None
    error: ExecutionError | None
    all_nodes: Mapping[str, Sequence[NodeRun]]
    calls: Sequence[CallMade]
    unmocked: Sequence[Unmocked]
    seconds: float
    refused: Refusal | None = None
    stopped: str | None = None
    items: Mapping[str, Sequence[NodeRun]] = {}

    @property
    def nodes(self) -> dict[str, NodeRun]:
        """What became of each node; of one that ran several times, what came last."""
        return {address: runs[-1] for address, runs in self.all_nodes.items()}

    def calls_of(self, node: str) -> list[CallMade]:
        """The calls of one node's handler."""
        return [call for call in self.calls if call.node == node]


class Refusal(msgspec.Struct, frozen=True):
    """Why nothing was started: inputs that do not fit, for one."""

    code: str
    message: str
