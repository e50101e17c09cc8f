"""The compiled plan: what the engine needs of a workflow, immutable, small, and quick to decode.

Nodes are addressed by their index in the document's order. Pure: no I/O.
"""

from __future__ import annotations

from functools import cached_property

import msgspec


class PlanNode(msgspec.Struct, frozen=True, array_like=True):
    """One node as the engine sees it.

    `config` is the node's config as JSON, templates unrendered. `parents` are the indexes of its
    dependencies; `reads` the indexes of the ancestors whose outputs its templates read. `primary` is
    the field of the output that `X.result` means (the handler's; None: the output's own `result`).
    """

    id: str
    handler: str
    config: msgspec.Raw
    parents: tuple[int, ...]
    reads: tuple[int, ...]
    timeout_ms: int
    queue: str
    primary: str | None = None


class Plan(msgspec.Struct, frozen=True, array_like=True, dict=True):
    """A whole workflow as the engine sees it."""

    name: str
    nodes: tuple[PlanNode, ...]

    @cached_property
    def index(self) -> dict[str, int]:
        """Node id -> index."""
        return {node.id: position for position, node in enumerate(self.nodes)}

    @cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """For each node, the indexes of the nodes that depend on it directly."""
        children: list[list[int]] = [[] for _ in self.nodes]
        for position, node in enumerate(self.nodes):
            for parent in node.parents:
                children[parent].append(position)
        return tuple(tuple(found) for found in children)

    @cached_property
    def roots(self) -> tuple[int, ...]:
        """The indexes of the nodes that depend on nothing."""
        return tuple(position for position, node in enumerate(self.nodes) if not node.parents)

    @cached_property
    def sink(self) -> int | None:
        """The index of the one node that nothing depends on; None where there are several.

        Every other node is upstream of it: when it completes, all have completed.
        """
        ends = [position for position, children in enumerate(self.children) if not children]
        return ends[0] if len(ends) == 1 else None

    def descendants(self, position: int) -> tuple[int, ...]:
        """The indexes of all nodes downstream of `position`, nearest first, each once."""
        found: dict[int, None] = {}
        frontier = [position]
        for current in frontier:
            for child in self.children[current]:
                if child not in found:
                    found[child] = None
                    frontier.append(child)
        return tuple(found)


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Plan)


def encode_plan(plan: Plan) -> bytes:
    """The plan as bytes for `fe:x:ID:plan`."""
    return _encoder.encode(plan)


def decode_plan(data: bytes) -> Plan:
    """The plan that `encode_plan` wrote. Raises msgspec.DecodeError."""
    return _decoder.decode(data)
