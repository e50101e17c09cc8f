"""What the API says of a document that nobody has stored. Pure data."""

from __future__ import annotations

import msgspec

from flowengine.layout.drawing import Drawing
from flowengine.workflow.problems import Problem


class NodePlaceView(msgspec.Struct, frozen=True, kw_only=True):
    """Where in the document a node stands: `pointer` as in problems, without `/workflow`."""

    id: str
    pointer: str
    line: int
    column: int


class ValidationView(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a document would be accepted.

    `problems`: all that is wrong with it; `warnings`: what may go wrong. `input_schema` is the JSON Schema of
    the inputs of its executions, null where they are wrong. `graph`: its picture, of a wrong one as far as it
    can be read, null where no node can be. `nodes`: where they stand.
    """

    valid: bool
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    input_schema: dict[str, msgspec.Raw] | None = None
    graph: Drawing | None = None
    nodes: tuple[NodePlaceView, ...] = ()
