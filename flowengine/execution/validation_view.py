"""What the API says of a document that nobody has stored. Pure data."""

from __future__ import annotations

import msgspec

from flowengine.layout.drawing import Drawing
from flowengine.workflow.problems import Problem


class ValidationView(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a document would be accepted.

    `problems`: all that is wrong with it; `warnings`: what may go wrong. Of a right one `input_schema` is the
    JSON Schema of the inputs of its executions, and `graph` its picture; else they are null.
    """

    valid: bool
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    input_schema: dict[str, msgspec.Raw] | None = None
    graph: Drawing | None = None
