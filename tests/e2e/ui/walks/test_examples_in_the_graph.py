"""Every example of `workflows/`, drawn: all is readable, and nothing lies over something else."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest
import yaml
from playwright.sync_api import Page, expect

from tests.e2e.ui.walks.hands import follow
from tests.support.rigs.browser import Visits, violations
from tests.support.rigs.stack_processes import ROOT, Stack

FOLDER: Final = ROOT / "workflows"
EXAMPLES: Final = sorted(path for path in FOLDER.iterdir() if path.is_file() and ".test." not in path.name)
BOXES: Final = """() => {
    const of = (each) => {
        const {left, top, right, bottom} = each.getBoundingClientRect();
        return [left, top, right, bottom];
    };
    const all = (what, where) => [...where.querySelectorAll(what)];
    return [...document.querySelectorAll("svg .node")].map((node) => ({
        name: node.getAttribute("aria-label"), box: of(node.querySelector(".box")), whole: of(node),
        texts: all(".id, .sub", node).map((each) => [each.textContent, of(each)]),
    })).concat([...document.querySelectorAll("svg .condition, svg .lane-name")].map((each) => (
        {name: each.textContent, box: of(each), whole: of(each), texts: []})));
}"""
SLACK: Final = 1.0
AROUND: Final = 16.0
"""So far may a ring, or the edge of a card behind, stand out of a card, in pixels."""


def _lies_over(one: list[float], other: list[float]) -> bool:
    left, top = max(one[0], other[0]), max(one[1], other[1])
    right, bottom = min(one[2], other[2]), min(one[3], other[3])
    return right - left > SLACK and bottom - top > SLACK


def _reaches_out(text: list[float], box: list[float]) -> bool:
    return text[0] < box[0] - SLACK or text[2] > box[2] + SLACK or text[3] > box[3] + SLACK


def _spreads(whole: list[float], box: list[float]) -> bool:
    return any(abs(one - other) > AROUND for one, other in zip(whole, box, strict=True))


def _faults(page: Page) -> list[str]:
    """What is drawn over something else, or reaches out of its card."""
    drawn: list[dict[str, Any]] = page.evaluate(BOXES)
    assert drawn
    over = [
        f"{one['name']} and {other['name']}"
        for at, one in enumerate(drawn)
        for other in drawn[at + 1 :]
        if _lies_over(one["box"], other["box"])
    ]
    out = [
        f"{text!r} of {card['name']}"
        for card in drawn
        for text, box in card["texts"]
        if _reaches_out(box, card["box"])
    ]
    spread = [f"{card['name']} spreads" for card in drawn if _spreads(card["whole"], card["box"])]
    return over + out + spread


@pytest.fixture(scope="module")
def applied(page_stack: Stack) -> dict[Path, tuple[str, str]]:
    """By file, the name of its definition and a run of it."""
    names = {path: _apply(page_stack, path) for path in EXAMPLES}
    started: dict[Path, tuple[str, str]] = {}
    for path, name in names.items():
        answer = page_stack.client.post(f"/definitions/{quote(name, safe='')}/trigger")
        assert answer.status_code == 202, answer.text
        started[path] = (name, str(answer.json()["execution_id"]))
    return started


def _apply(stack: Stack, path: Path) -> str:
    kind = "json" if path.suffix == ".json" else "yaml"
    headers = {"Content-Type": f"application/{kind}"}
    text = path.read_bytes()
    name = str(yaml.safe_load(text)["name"])
    put = stack.client.put(f"/definitions/{quote(name, safe='')}", content=text, headers=headers)
    assert put.status_code in (200, 201), put.text
    return name


def test_no_example_is_drawn_over_itself(
    visit: Visits, page_stack: Stack, applied: dict[Path, tuple[str, str]]
) -> None:
    """As a plan and as a run: cards, conditions and lanes have places of their own, texts stay in them."""
    page = visit("/ui/definitions", width=1000, height=640)
    found: dict[str, list[str]] = {}
    for path, (name, execution) in applied.items():
        for address in (f"/ui/definitions/{quote(name, safe='')}?tab=graph", f"/ui/runs/{execution}"):
            follow(page, address)
            expect(page.get_by_role("heading", level=1, name=name, exact=True)).to_be_visible()
            expect(page.locator("svg .node .id").first).to_be_visible()
            faults = _faults(page)
            if faults:
                found[f"{path.name} {address.split('/')[2]}"] = faults
    assert found == {}
    assert violations(page) == []
