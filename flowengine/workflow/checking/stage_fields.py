"""Reads what a document says of the time after its main nodes: `outputs`, and how long hooks may take.

The hooks themselves are nodes, and are read as the others.
"""

from __future__ import annotations

from typing import Final

from flowengine.jsonvalue import pointer_to
from flowengine.template.json_values import type_name
from flowengine.workflow.checking.node_fields import read_timeout
from flowengine.workflow.checking.object_fields import JsonObject
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.document import MAX_ID_CHARS
from flowengine.workflow.problems import quoted
from flowengine.workflow.stages import DEFAULT_HOOKS_TIMEOUT_MS

HOOKS_TIMEOUT_S: Final = (1, 30 * 86_400)


def read_hooks_timeout_ms(document: JsonObject, report: Report) -> int:
    """How long all hooks may take together. A wrong value is reported, and counts as not given."""
    field, default_s = "hooks_timeout_seconds", DEFAULT_HOOKS_TIMEOUT_MS / 1000
    if document.get(field) is None:
        return DEFAULT_HOOKS_TIMEOUT_MS
    return round(1000 * read_timeout(document, "", report, default_s, HOOKS_TIMEOUT_S, field))


def read_outputs(document: JsonObject, report: Report, pointer: str = "") -> JsonObject | None:
    """What the document, or the group at `pointer`, gives as its outputs, templates in it; None where it has
    none."""
    place = pointer_to(pointer, "outputs")
    outputs = document.get("outputs")
    if outputs is None:
        return None
    if not isinstance(outputs, dict):
        form = "an object of names and values, as in {report: ...}"
        message = f"'outputs' is {form}; this is {type_name(outputs)}"
        report.add("wrong_type", place, message)
        return None
    for name in outputs:
        if not name.isprintable() or not 0 < len(name) <= MAX_ID_CHARS:
            report.add(
                "invalid_name",
                pointer_to(place, name[:MAX_ID_CHARS]),
                f"{quoted(name)} is no name of an output: 1 to {MAX_ID_CHARS} printable characters",
            )
    return outputs


def check_hook(pointer: str, field: str, report: Report) -> None:
    """Refuse an `end` among the hooks."""
    report.add(
        "not_in_hooks",
        pointer_to(pointer, "handler"),
        f"an `end` has no meaning in '{field}': how the execution ends is decided before its hooks run; "
        "use `assert` to let a hook fail",
    )
