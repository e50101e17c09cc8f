"""Where the nodes of a view stand that wait for their turn. Read only where one waits, in one round trip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from msgspec.structs import replace

from flowengine.execution.limits.lines import Member
from flowengine.execution.records import NodeRecord
from flowengine.execution.views.executions import NodeView

MOST_PLACES: Final = 100
"""Of so many nodes of a view the place is told, of those that come first."""


class PlacesStore(Protocol):
    """State as this needs it."""

    def places_in_lines(self, standing: Sequence[tuple[str, str]]) -> list[int | None]:
        """The places of members, each given as its line and itself, 1 is the first; None: it does not stand
        there, or too many stand before it."""


def with_places(
    store: PlacesStore, execution: str, nodes: Sequence[NodeView], records: Mapping[str, NodeRecord]
) -> tuple[NodeView, ...]:
    """The same nodes of an execution; those that wait for their turn have their `place`."""
    asked: dict[str, tuple[str, str]] = {}
    for node in nodes:
        standing = _standing(execution, node, records[node.id]) if len(asked) < MOST_PLACES else None
        if standing is not None:
            asked[node.id] = standing
    if not asked:
        return tuple(nodes)
    places = dict(zip(asked, store.places_in_lines([*asked.values()]), strict=True))
    return tuple([_placed(node, places[node.id]) if node.id in places else node for node in nodes])


def _standing(execution: str, node: NodeView, record: NodeRecord) -> tuple[str, str] | None:
    """The line and the member as which a node waits; None: it waits for no turn, or in a child of its own."""
    turn = record.pace or record.turn
    if turn is None or node.status != "waiting" or record.status != "waiting":
        return None
    return turn.line, str(Member(execution, record.run, node.id, turn.ticket))


def _placed(node: NodeView, place: int | None) -> NodeView:
    assert node.waiting_for, "what is waiting waits for something"
    return replace(node, waiting_for=replace(node.waiting_for, place=place))
