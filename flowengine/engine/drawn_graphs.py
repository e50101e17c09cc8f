"""The drawings of plans as JSON, kept by what they show: executions of one workflow share theirs.

A drawing takes some tens of milliseconds of CPU for a thousand nodes, and a page asks for it again and again.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import Final

import msgspec

from flowengine.workflow.plan import Plan

BUDGET_BYTES: Final = 16 * 1024 * 1024
"""What the drawings of a process may take together."""


class DrawnGraph(msgspec.Struct, frozen=True):
    """A drawing as JSON. `tag` names it: another drawing has another."""

    data: bytes
    tag: str


class DrawnGraphs:
    """The drawings used last, bounded by the bytes that they take. Threads may share it."""

    def __init__(self, budget: int = BUDGET_BYTES) -> None:
        self._budget = budget
        self._held = 0
        self._graphs: OrderedDict[bytes, DrawnGraph] = OrderedDict()
        self._guard = threading.Lock()

    def of(self, plan: Plan) -> DrawnGraph:
        """The drawing of a plan, made unless one of an equal plan is here."""
        from flowengine.layout.plan_drawing import content_of, draw

        digest = hashlib.blake2b(content_of(plan), digest_size=16).digest()
        with self._guard:
            found = self._graphs.get(digest)
            if found is not None:
                self._graphs.move_to_end(digest)
                return found
        data = msgspec.json.encode(draw(plan))
        made = DrawnGraph(data, hashlib.blake2b(data, digest_size=16).hexdigest())
        with self._guard:
            self._keep(digest, made)
        return made

    def _keep(self, digest: bytes, made: DrawnGraph) -> None:
        replaced = self._graphs.pop(digest, None)
        self._held += len(made.data) - (0 if replaced is None else len(replaced.data))
        self._graphs[digest] = made
        while self._held > self._budget and len(self._graphs) > 1:
            _, dropped = self._graphs.popitem(last=False)
            self._held -= len(dropped.data)
