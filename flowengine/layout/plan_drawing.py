"""A plan as a drawing: its main nodes, and below them a lane for those of its hooks."""

from __future__ import annotations

from typing import Final

import msgspec

from flowengine.layout.coordinates import CARD_GAP
from flowengine.layout.drawing import CARD_WIDTH, Card, Direction, Drawing, Edge, Lane
from flowengine.layout.folding import Figures, condition_of, figures_of
from flowengine.layout.stage_drawing import (
    StageDrawing,
    draw_stage,
    height_of,
    moved_card,
    moved_edge,
)
from flowengine.layout.stage_layout import CHANNEL
from flowengine.workflow.plan import Plan
from flowengine.workflow.stages import HOOKS, Stage

SHOWN_WIDTH: Final = 1000
SHOWN_HEIGHT: Final = 640
"""The size for which the two directions are compared."""
_LARGER_BY: Final = 1.5
"""How much larger a drawing to the right must be shown, to be preferred."""
_LINE_GAP: Final = 22
_NAME_GAP: Final = 16
_CARDS_GAP: Final = 24
_LANES_APART: Final = 48


def draw(plan: Plan) -> Drawing:
    """The drawing of a plan; the same for the same plan.

    At most 1000 nodes. Edges are bounded (`layering.py`), so that any plan takes a bounded time.
    """
    figures = figures_of(plan, "main")
    direction = direction_of(figures)
    main = draw_stage(plan, "main", figures, direction)
    hooks: list[tuple[Stage, StageDrawing]] = [
        (stage, draw_stage(plan, stage, figures_of(plan, stage), direction))
        for stage in HOOKS
        if plan.positions(stage)
    ]
    return _together(direction, main, hooks)


def content_of(plan: Plan) -> bytes:
    """All that the drawing of a plan depends on: of two plans that have this in common it is the same."""
    nodes = [
        (node.id, node.work.handler, node.parents, condition_of(policy), policy.map is not None)
        for node, policy in [(node, plan.policy(at)) for at, node in enumerate(plan.nodes)]
    ]
    stages = plan.stages
    return msgspec.json.encode((nodes, stages.outputs, stages.on_failure, stages.finally_))


def direction_of(figures: Figures) -> Direction:
    """Down, unless the drawing is shown much larger to the right: by what it says, never by a window."""
    counts: dict[int, list[int]] = {}
    for figure, layer in zip(figures.all, figures.layers, strict=True):
        counts.setdefault(layer, []).append(height_of(figure))
    most = max(map(len, counts.values()))
    down = _scale(
        most * (CARD_WIDTH + CARD_GAP) - CARD_GAP,
        sum(max(heights) + CHANNEL for heights in counts.values()) - CHANNEL,
    )
    right = _scale(
        len(counts) * (CARD_WIDTH + CHANNEL) - CHANNEL,
        max(sum(heights) + CARD_GAP * len(heights) for heights in counts.values()) - CARD_GAP,
    )
    return "right" if right >= _LARGER_BY * down else "down"


def _scale(width: int, height: int) -> float:
    return min(SHOWN_WIDTH / width, SHOWN_HEIGHT / height, 1.0)


def _together(direction: Direction, main: StageDrawing, hooks: list[tuple[Stage, StageDrawing]]) -> Drawing:
    cards: list[Card] = [*main.cards]
    edges: list[Edge] = [*main.edges]
    lanes: list[Lane] = []
    width, height, x, line = main.width, main.height, 0, main.height + _LINE_GAP
    top = line + _CARDS_GAP
    for stage, part in hooks:
        lanes.append(Lane(stage, x, line + _NAME_GAP, line))
        cards.extend(moved_card(card, x, top) for card in part.cards)
        edges.extend(moved_edge(edge, x, top) for edge in part.edges)
        width, height = max(width, x + part.width), max(height, top + part.height)
        x += part.width + _LANES_APART
    return Drawing(
        direction=direction,
        width=width,
        height=height,
        cards=tuple(cards),
        edges=tuple(edges),
        lanes=tuple(lanes),
        left_out=main.left_out + sum(part.left_out for _, part in hooks),
    )
