"""Executions of a stack, as a recording asks for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flowengine.execution.views.executions import ExecutionView, NodeDetailView, ResultsView
from flowengine.execution.views.maps import ItemView

if TYPE_CHECKING:
    from flowengine.client import Client


class RecordedByClient:
    """Implements `flowengine.testing.recording.RecordedExecutions`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def status(self, execution_id: str, /) -> ExecutionView:
        """The execution and its nodes."""
        return self._client.status(execution_id)

    def results(self, execution_id: str, /) -> ResultsView:
        """What its nodes have given."""
        return self._client.results(execution_id)

    def node(self, execution_id: str, node: str, /) -> NodeDetailView:
        """All of one node."""
        return self._client.node(execution_id, node)

    def items(self, execution_id: str, node: str, /) -> Iterator[ItemView]:
        """The items of a map."""
        return self._client.items(execution_id, node)

    def text(self, execution_id: str, /) -> str:
        """The document."""
        return self._client.document(execution_id)
