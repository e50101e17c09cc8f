"""A FlowEngine stack as a Python class: `Client`, and `AsyncClient` for asyncio.

    from flowengine.client import Client

    with Client() as client:
        started = client.start(Path("workflow.yaml").read_text(), inputs={"day": "2026-03-01"})
        ended = client.wait_until_ended(started.execution_id)

Without arguments the stack is the one of `FLOWENGINE_URL`, with the key `FLOWENGINE_KEY`; without these, the
local one. Answers are frozen structs with the API's own names. What is refused raises RefusedError.
"""

from __future__ import annotations

from flowengine.client.address import DEFAULT_URL
from flowengine.client.async_client import AsyncClient
from flowengine.client.errors import (
    BadAnswerError,
    ClientError,
    NotEndedError,
    RefusedError,
    UnreachableError,
)
from flowengine.client.sync_client import Client

__all__ = [
    "DEFAULT_URL",
    "AsyncClient",
    "BadAnswerError",
    "Client",
    "ClientError",
    "NotEndedError",
    "RefusedError",
    "UnreachableError",
]
