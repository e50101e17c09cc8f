"""Drawings as text: SVG and Mermaid, with names that mean harm."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from flowengine.layout.drawing import Card, Drawing
from flowengine.layout.formats.mermaid import mermaid
from flowengine.layout.formats.svg import rounded_path, svg
from flowengine.layout.formats.words import cut, name_of, second_line
from flowengine.layout.plan_drawing import draw
from flowengine.workflow.policy import Policy
from tests.support.plans import plan_of

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = [
    "<script>alert(1)</script>",
    '"/><image href="http://example.com/x"/>',
    "&lt;&amp;",
    "]]></style><script>",
    "a\x00b\x1b[31m\x7f",
    "\u202egnp.exe",
    "\ud800",
    "n" * 10_000,
    "end",
    "x\n  click n0 href",
    '"] --> n9',
    "%%{init: {}}%%",
    "🙂" * 30,
]


def drawn(text: str) -> Drawing:
    """Two cards, whose handler and condition are this text."""
    plan = plan_of([[], [0]], handler=lambda _: text, policies={1: Policy(when=text)})
    return draw(plan)


@pytest.mark.parametrize("text", HOSTILE)
def test_an_svg_holds_texts_as_texts(text: str) -> None:
    """It is well-formed, has the elements of any drawing and no others, and refers to nothing elsewhere."""
    root = ElementTree.fromstring(svg(drawn(text), text).encode())
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert tags == {"svg", "title", "style", "rect", "path", "g", "text"}
    allowed = {"class", "x", "y", "width", "height", "rx", "d", "transform", "viewBox", "role"}
    assert {name for element in root.iter() for name in element.attrib} <= allowed
    assert sum(element.tag == f"{SVG}style" for element in root.iter()) == 1


@pytest.mark.parametrize("text", HOSTILE)
def test_mermaid_holds_texts_as_texts(text: str) -> None:
    """Each line is one that the writer meant: nothing ends a text before its end."""
    lines = mermaid(drawn(text), text).splitlines()
    begins = [re.match(r" *(%%|flowchart|n[01]\[|n0 -->)", line) for line in lines]
    assert [begin[1] if begin else None for begin in begins] == ["%%", "flowchart", "n0[", "n1[", "n0 -->"]
    assert all(line.count('"') == 2 for line in lines[2:])
    assert all(line.isprintable() for line in lines)


def test_an_svg_is_legible_on_light_and_on_dark() -> None:
    """It brings the colours of both, and its own background."""
    text = svg(draw(plan_of([[]])), "test")
    assert "prefers-color-scheme:dark" in text
    assert '<rect class="canvas"' in text


def test_an_svg_says_whole_names_in_titles() -> None:
    """What is drawn is cut in the middle."""
    text = svg(drawn("a_handler_with_a_very_long_name"), "test")
    assert "<title>n0\na_handler_with_a_very_long_name</title>" in text
    assert ">a_handler_with…g_name</text>" in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [("short", "short"), ("x" * 21, "x" * 21), ("warehouse_of_the_north_47", "warehouse_of_t…rth_47")],
)
def test_long_names_are_cut_in_the_middle(text: str, expected: str) -> None:
    """The beginning says what, the end says which."""
    assert cut(text) == expected


@pytest.mark.parametrize(
    ("members", "expected"),
    [(("fetch_1", "fetch_12", "fetch_2"), "fetch_*"), (("north", "south"), "north …")],
)
def test_a_stack_is_called_by_what_its_names_share(members: tuple[str, ...], expected: str) -> None:
    """Or by the first of them."""
    card = Card(
        id=members[0], handler="compute", stage="main", x=0, y=0, width=168, height=53, members=members
    )
    assert name_of(card) == expected
    assert second_line(card) == f"{len(members)} × compute"


def test_corners_are_rounded_and_lines_reach_their_ends() -> None:
    """A short piece gets a smaller rounding."""
    assert rounded_path([(0, 0), (0, 20), (30, 20)]) == "M0 0L0 14Q0 20 6 20L30 20"
    assert rounded_path([(0, 0), (0, 4), (30, 4)]) == "M0 0L0 2Q0 4 6 4L30 4"
    assert rounded_path([(0, 0), (0, 9)]) == "M0 0L0 9"


def test_mermaid_draws_the_same_edges() -> None:
    """With conditions on them, and hooks in subgraphs."""
    edges = drawn("{{ inputs.go }}").edges
    assert [(edge.source, edge.target) for edge in edges] == [("n0", "n1")]
    assert '  n0 -->|"when inputs.go"| n1' in mermaid(drawn("{{ inputs.go }}"), "test")


def test_mermaid_says_when_a_node_runs_that_no_edge_leads_to() -> None:
    """In the node itself."""
    plan = plan_of([[]], policies={0: Policy(when="{{ inputs.go }}")})
    assert '  n0["n0<br>transform<br>when inputs.go"]' in mermaid(draw(plan), "test").splitlines()


def test_edges_bend_at_right_angles() -> None:
    """So that lines that run side by side stay apart."""
    for edge in draw(plan_of([[], [0], [0], [1, 2]], handler=str)).edges:
        assert all(one[0] == other[0] or one[1] == other[1] for one, other in pairwise(edge.points))
