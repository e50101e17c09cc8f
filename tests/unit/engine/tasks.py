"""Tasks as workers are given them."""

from __future__ import annotations

import msgspec

from flowengine.execution.messages import Read, RunNode


def task(node: str, *, reads: int = 0, handler: str = "quick") -> RunNode:
    """The task of one node."""
    return RunNode(
        execution="e",
        run=1,
        node=node,
        dispatch=1,
        attempt=1,
        handler=handler,
        config=msgspec.Raw(b"{}"),
        reads=tuple(Read(f"p{number}") for number in range(reads)),
        timeout_ms=60_000,
        correlation_id="c",
    )
