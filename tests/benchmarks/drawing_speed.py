"""`python -m tests.benchmarks.drawing_speed`: what it takes to draw a thousand nodes, by their shape.

The CPU time of a drawing, the best and the middle of several; how often its edges cross from layer to layer;
and the bytes that the API answers, before and after gzip.
"""

from __future__ import annotations

import gzip
import random
import statistics
import sys
import time
from collections.abc import Mapping
from typing import Final

import msgspec

from flowengine.layout.folding import figures_of
from flowengine.layout.layering import layered
from flowengine.layout.ordering import crossings, ordered_rows
from flowengine.layout.plan_drawing import draw
from flowengine.workflow.plan import Plan
from tests.support.plans import plan_of

COUNT: Final = 1000
DRAWINGS: Final = 7


def main() -> int:
    """Measure and print."""
    print(f"{COUNT} nodes            best ms  middle ms  cards  edges  crossings     bytes  gzipped")
    for name, plan in shapes().items():
        drawing = draw(plan)
        graph = layered(figures_of(plan, "main").graph)
        data = msgspec.json.encode(drawing)
        times = [_milliseconds(plan) for _ in range(DRAWINGS)]
        print(
            f"{name:20} {min(times):7.1f} {statistics.median(times):10.1f} {len(drawing.cards):6} "
            f"{len(drawing.edges):6} {crossings(graph, ordered_rows(graph)):10} {len(data):9} "
            f"{len(gzip.compress(data)):8}"
        )
    return 0


def shapes() -> Mapping[str, Plan]:
    """Workflows of a thousand nodes, with handlers that differ unless they are to be folded."""
    last = COUNT - 1
    return {
        "chain": plan_of([[number - 1] if number else [] for number in range(COUNT)]),
        "fan-out, folded": plan_of(_fan(last)),
        "fan-out, all shown": plan_of(_fan(last), handler=str),
        "pipelines of 14": plan_of([[number - 1] if number % 14 else [] for number in range(COUNT)]),
        "tree": plan_of([[(number - 1) // 3] if number else [] for number in range(COUNT)], handler=str),
        "random, 1 or 2 above": plan_of(_random(2), handler=str),
        "random, 1 to 3 above": plan_of(_random(3), handler=str),
    }


def _fan(last: int) -> list[list[int]]:
    return [[], *[[0]] * (last - 1), list(range(1, last))]


def _random(most: int) -> list[list[int]]:
    """Each depends on some of the hundred before it."""
    draws = random.Random(1)
    return [
        sorted({draws.randrange(max(0, number - 100), number) for _ in range(draws.randint(1, most))})
        if number
        else []
        for number in range(COUNT)
    ]


def _milliseconds(plan: Plan) -> float:
    began = time.thread_time()
    draw(plan)
    return (time.thread_time() - began) * 1000


if __name__ == "__main__":
    sys.exit(main())
