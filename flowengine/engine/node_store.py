"""What is stored of one node, as the query that tells everything of it needs it.

It stands apart from that query, which brings the template engine: whatever loads the state has this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from flowengine.engine.ports import Given, NodeState, QueryStore
from flowengine.execution.records import Attempt, NodeRecord
from flowengine.execution.views.maps import StoredItemState


class StoredNode(msgspec.Struct, frozen=True):
    """All that is stored of a node. `kept`: attempts that are over, by their numbers. `previous`: what its
    last iteration has given, as JSON, where that is kept."""

    state: NodeState
    result: bytes | None
    kept: Mapping[int, Attempt]
    previous: bytes | None = None


class Readable(msgspec.Struct, frozen=True):
    """What a node's templates read, but for outputs: what the execution is given, and by their names the
    records of other nodes and the bytes of their outputs."""

    given: Given
    records: Mapping[str, NodeRecord]
    sizes: Mapping[str, int]


class NodeStore(QueryStore, Protocol):
    """State as this query needs it."""

    def now(self) -> int: ...
    def stored_node(self, execution: str, node: str) -> StoredNode: ...
    def item_states(
        self, execution: str, node: str, record: NodeRecord, indexes: Sequence[int]
    ) -> list[StoredItemState]: ...
    def stored_items(self, execution: str, node: str, indexes: Sequence[int]) -> list[bytes]: ...
    def readable(self, execution: str, nodes: Sequence[str]) -> Readable: ...
