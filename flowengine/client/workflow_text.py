"""A workflow as it is posted: its text as it is, or inside the envelope that carries inputs and labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from flowengine.client.call import JSON
from flowengine.client.errors import Refusal, RefusedError
from flowengine.jsonvalue import JsonValue
from flowengine.workflow.priority import Priority

YAML: Final = "application/yaml"


def posted(
    workflow: str | bytes | Mapping[str, JsonValue],
    *,
    inputs: Mapping[str, JsonValue] | None,
    labels: Mapping[str, str] | None,
    callback_url: str | None = None,
    priority: Priority | None = None,
) -> tuple[bytes, str]:
    """The body of a request, and its media type. Text without anything beside it goes as it is, so that
    the API's problems name its lines. Raises RefusedError for text that cannot be read."""
    given: dict[str, JsonValue] = {}
    if inputs:
        given["inputs"] = dict(inputs)
    if labels:
        given["labels"] = dict[str, JsonValue](labels)
    if callback_url is not None:
        given["callback_url"] = callback_url
    if priority is not None:
        given["priority"] = priority
    if isinstance(workflow, str | bytes):
        text = workflow.encode() if isinstance(workflow, str) else workflow
        if not given:
            return text, JSON if _is_json(text) else YAML
        return _envelope(_document(text), given), JSON
    return _envelope(workflow, given) if given else msgspec.json.encode(workflow), JSON


def _envelope(workflow: JsonValue | Mapping[str, JsonValue], given: Mapping[str, JsonValue]) -> bytes:
    """The workflow with what is given. Of one that has an envelope already, the names there stay too."""
    if not isinstance(workflow, Mapping) or "workflow" not in workflow:
        return msgspec.json.encode({"workflow": workflow, **given})
    envelope = dict(workflow)
    for field, values in given.items():
        before = envelope.get(field)
        if isinstance(values, dict) and isinstance(before, dict):
            values = {**before, **values}
        envelope[field] = values
    return msgspec.json.encode(envelope)


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
