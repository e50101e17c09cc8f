"""What a node's `when` and its `retry.when` give. Both must give true, false or null."""

from __future__ import annotations

from msgspec.structs import replace

from flowengine.execution import error_codes as codes
from flowengine.execution.records import NodeError
from flowengine.jsonvalue import JsonValue
from flowengine.plugin import HandlerError
from flowengine.template import Scope, render
from flowengine.template.json_values import type_name
from flowengine.workflow.policy import ATTEMPT, ERROR


def holds(field: str, expression: str, scope: Scope, max_chars: int) -> bool:
    """Whether the condition of this field is true. Null is false.

    Raises TemplateError, and HandlerError `when_not_boolean` for anything else.
    """
    value = render(expression, scope, max_chars=max_chars, pointer=f"/{field.replace('.', '/')}")
    if value is None or isinstance(value, bool):
        return bool(value)
    raise HandlerError(
        codes.WHEN_NOT_BOOLEAN.code,
        f"`{field}` must give true, false or null, and gives {type_name(value)}: compare it with something, "
        "as in {{ a.result == 'yes' }}",
    )


def scope_after(scope: Scope, error: NodeError, attempt: int) -> Scope:
    """What `retry.when` reads: what the node reads, the try's error and its number."""
    outputs = {**scope.outputs, ERROR: shown_error(error), ATTEMPT: attempt}
    return replace(scope, outputs=outputs, primaries={**scope.primaries, ERROR: None, ATTEMPT: None})


def shown_error(error: NodeError) -> dict[str, JsonValue]:
    """An error as templates see it."""
    shown: dict[str, JsonValue] = {"code": error.code, "message": error.message}
    if isinstance(error.status_code, int):
        shown["status_code"] = error.status_code
    return shown
