"""A workflow as it is posted: its text as it is, or inside the envelope that carries inputs and labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from flowengine.client.call import JSON
from flowengine.client.errors import Refusal, RefusedError
from flowengine.jsonvalue import JsonValue

YAML: Final = "application/yaml"


def posted(
    workflow: str | bytes | Mapping[str, JsonValue],
    *,
    inputs: Mapping[str, JsonValue] | None,
    labels: Mapping[str, str] | None,
) -> tuple[bytes, str]:
    """The body of a request, and its media type. Text without inputs and labels goes as it is, so that the
    API's problems name its lines. Raises RefusedError for text that cannot be read."""
    given = {name: value for name, value in (("inputs", inputs), ("labels", labels)) if value}
    if isinstance(workflow, str | bytes):
        text = workflow.encode() if isinstance(workflow, str) else workflow
        if not given:
            return text, JSON if _is_json(text) else YAML
        return msgspec.json.encode({"workflow": _document(text), **given}), JSON
    return msgspec.json.encode({"workflow": workflow, **given} if given else workflow), JSON


def _is_json(text: bytes) -> bool:
    return text.lstrip()[:1] == b"{"


def _document(text: bytes) -> JsonValue:
    from flowengine.settings import Limits
    from flowengine.workflow.problems import Problem
    from flowengine.workflow.validation import read_text

    found = read_text(text, "json" if _is_json(text) else "yaml", Limits())
    if isinstance(found, Problem):
        raise RefusedError(
            Refusal(
                status=400,
                code="malformed_document",
                detail=f"the workflow cannot be read: {found.message}",
                problems=(found,),
            )
        )
    return found.value
