"""What a drawing is made of, and its sizes. Lengths are pixels at scale 1; y grows downwards."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from flowengine.workflow.stages import Stage

Direction: TypeAlias = Literal["down", "right"]
Point: TypeAlias = tuple[int, int]
PlainPoint: TypeAlias = Annotated[tuple[int, ...], msgspec.Meta(min_length=2, max_length=2)]
"""The same, with a schema that makers of clients understand."""

CARD_WIDTH: Final = 168
CARD_HEIGHT: Final = 40
STACK_HEIGHT: Final = 53
"""The height of a card that stands for several nodes: below the text it has room for a bar."""


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """When the node of a card runs, where that is not said by its edges alone: its rule, its `when`.

    `text` is `whole`, cut to about the width of a card. `x` and `y`: where its line begins, above the card.
    """

    text: str
    whole: str
    x: int
    y: int


class Card(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A node, or several equal ones as a stack. `x` and `y`: its upper left corner.

    `id`: the node's, of a stack that of its first. `members`: the nodes of a stack, in the document's order.
    `map`: it runs once for each item of a list.
    """

    id: str
    handler: str
    stage: Stage
    x: int
    y: int
    width: int
    height: int
    condition: Condition | msgspec.UnsetType = msgspec.UNSET
    members: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    map: bool | msgspec.UnsetType = msgspec.UNSET


class Edge(msgspec.Struct, frozen=True, gc=False):
    """From the card of a dependency to that of what depends on it: lines across and along, in turn."""

    source: str
    target: str
    points: tuple[PlainPoint, ...]


class Lane(msgspec.Struct, frozen=True):
    """Where the nodes of a hook stand, below a line at `line`. `x` and `y`: where its name begins."""

    stage: Stage
    x: int
    y: int
    line: int


class Drawing(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow, drawn within `width` and `height`. `direction`: where its edges lead.

    Cards and edges come in the document's order. `left_out`: how many edges are not drawn, because there are
    too many long ones.
    """

    direction: Direction
    width: int
    height: int
    cards: tuple[Card, ...]
    edges: tuple[Edge, ...]
    lanes: tuple[Lane, ...] = ()
    left_out: int = 0
