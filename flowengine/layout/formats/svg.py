"""A drawing as one SVG file that needs nothing else, and is legible on light and on dark.

Names come from documents, so every text is escaped, and what XML cannot carry is replaced.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

import msgspec

from flowengine.layout.drawing import Card, Drawing, Edge, Lane, PlainPoint
from flowengine.layout.formats.words import cut, name_of, second_line

MARGIN: Final = 20
_CORNER: Final = 6
_BAR_INSET: Final = 12
_PART_GAP: Final = 1
_MOST_PARTS: Final = 48
_CHAR_WIDTH: Final = 5.6
"""About what a character of a condition takes."""
_STYLE: Final = """\
svg{--canvas:#f4f6f8;--card:#fff;--line:#858f9c;--edge:#8390a0;--text:#171c23;--quiet:#4d5764;--mark:#4b3fc0;--bar:#c3cbd4;
font-family:-apple-system,"Segoe UI",Roboto,"Noto Sans","Liberation Sans",system-ui,sans-serif}
@media (prefers-color-scheme:dark){svg{--canvas:#0e1115;--card:#161a20;--line:#68727f;--edge:#66727f;
--text:#e6eaf0;--quiet:#a9b3c0;--mark:#a79fff;--bar:#39424e}}
.canvas{fill:var(--canvas)}.edge{fill:none;stroke:var(--edge);stroke-width:1.25}
.bar{fill:var(--bar)}
.card,.behind{fill:var(--card);stroke:var(--line);stroke-opacity:.7}
.id{font-size:12.5px;font-weight:500;fill:var(--text)}.sub{font-size:11px;fill:var(--quiet)}
.when{font-size:11px;fill:var(--mark)}
.lane{stroke:var(--line);stroke-opacity:.6;stroke-dasharray:2 4}
"""
_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot say, not even escaped (section 2.2)."""


def svg(drawing: Drawing, name: str) -> str:
    """The drawing as SVG. `name`: that of the workflow."""
    width, height = drawing.width + 2 * MARGIN, drawing.height + 2 * MARGIN
    return "".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="{-MARGIN} {-MARGIN} {width} {height}" role="img">\n',
            f"<title>{_text(name)}</title>\n<style>\n{_STYLE}</style>\n",
            f'<rect class="canvas" x="{-MARGIN}" y="{-MARGIN}" width="{width}" height="{height}"/>\n',
            *_lanes(drawing),
            *map(_edge, drawing.edges),
            *map(_card, drawing.cards),
            "</svg>\n",
        ]
    )


def rounded_path(points: Sequence[PlainPoint]) -> str:
    """A line along these points as the data of a path, its corners rounded."""
    first, last = points[0], points[-1]
    parts = [f"M{first[0]} {first[1]}"]
    for place in range(1, len(points) - 1):
        before, corner, after = points[place - 1], points[place], points[place + 1]
        enter, leave = _towards(corner, before), _towards(corner, after)
        parts.append(f"L{enter[0]:g} {enter[1]:g}Q{corner[0]} {corner[1]} {leave[0]:g} {leave[1]:g}")
    return f"{''.join(parts)}L{last[0]} {last[1]}"


def _towards(corner: PlainPoint, other: PlainPoint) -> tuple[float, float]:
    """Where the rounding of a corner begins: at most half of the way."""
    across, along = other[0] - corner[0], other[1] - corner[1]
    length = max(abs(across), abs(along))
    share = min(_CORNER, length / 2) / length if length else 0.0
    return corner[0] + across * share, corner[1] + along * share


def _edge(edge: Edge) -> str:
    return f'<path class="edge" d="{rounded_path(edge.points)}"/>\n'


def _card(card: Card) -> str:
    whole = [card.id] if card.members is msgspec.UNSET else list(card.members)
    behind, bar = _stack(card)
    said = [", ".join(whole), card.handler]
    if card.condition is not msgspec.UNSET:
        said.append(card.condition.whole)
    return (
        f'<g transform="translate({card.x} {card.y})"><title>{_text(chr(10).join(said))}</title>{behind}'
        f'<rect class="card" width="{card.width}" height="{card.height}" rx="6"/>'
        f'<text class="id" x="12" y="17">{_text(cut(name_of(card)))}</text>'
        f'<text class="sub" x="12" y="31">{_text(cut(second_line(card)))}</text>{bar}</g>{_condition(card)}\n'
    )


def _stack(card: Card) -> tuple[str, str]:
    """The edge of a second card behind a stack or a map, and a bar: of a stack, with a part for each node."""
    if card.members is msgspec.UNSET and card.map is msgspec.UNSET:
        return "", ""
    behind = f'<path class="behind" d="M6 0v-3.5q0-2 2-2h{card.width - 16}q2 0 2 2V0"/>'
    width = card.width - 2 * _BAR_INSET
    parts = 1 if card.members is msgspec.UNSET else min(len(card.members), _MOST_PARTS)
    step = (width + _PART_GAP) / parts
    pieces = "".join(
        [
            f"M{_BAR_INSET + step * part:.4g} 40h{step - _PART_GAP:.4g}v5h{_PART_GAP - step:.4g}z"
            for part in range(parts)
        ]
    )
    return behind, f'<path class="bar" d="{pieces}"/>'


def _condition(card: Card) -> str:
    said = card.condition
    if said is msgspec.UNSET:
        return ""
    # The edge that comes in from above would run through the words.
    width = min(round(_CHAR_WIDTH * len(said.text)) + 4, card.width)
    return (
        f'<rect class="canvas" x="{said.x - 2}" y="{said.y - 10}" width="{width}" height="13"/>'
        f'<text class="when" x="{said.x}" y="{said.y}"><title>{_text(said.whole)}</title>'
        f"{_text(said.text)}</text>"
    )


def _lanes(drawing: Drawing) -> Iterable[str]:
    for number, lane in enumerate(drawing.lanes):
        yield _lane(lane, drawing.width, is_first=not number)


def _lane(lane: Lane, width: int, *, is_first: bool) -> str:
    line = f'<path class="lane" d="M-12 {lane.line}H{width + 12}"/>' if is_first else ""
    return f'{line}<text class="sub" x="{lane.x}" y="{lane.y}">{_text(lane.stage)}</text>\n'


def _text(text: str) -> str:
    return escape(_NO_XML.sub("�", text))
