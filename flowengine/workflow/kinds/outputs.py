"""What computes a document's `outputs`: a task like any other, which no list of the document names."""

from __future__ import annotations

from typing import Final

import msgspec

from flowengine.workflow.checking.node_config import encode_config
from flowengine.workflow.checking.node_fields import NodeFields
from flowengine.workflow.checking.object_fields import JsonObject
from flowengine.workflow.checking.templates.template_references import Reads
from flowengine.workflow.kinds.document_context import DocumentContext
from flowengine.workflow.plan import Task

POINTER: Final = "/outputs"
HANDLER: Final = "set"
LONE_KEY: Final = "value"
"""The key under which `set` takes a whole value."""

MAX_BYTES: Final = 1024 * 1024
_NO_SECRETS: Final = "outputs take no secrets: the results show them"


class OutputsDraft(msgspec.Struct, frozen=True):
    """The outputs as the document says them. `pointer` leads there."""

    outputs: JsonObject
    pointer: str = POINTER


def compile_outputs(
    node: NodeFields, draft: OutputsDraft, document: DocumentContext
) -> tuple[Task, Reads] | None:
    """The plan's task and what its templates read; None where something is wrong, which is reported."""
    encoded = encode_config({LONE_KEY: draft.outputs}, draft.pointer, MAX_BYTES, document.report)
    reads = document.templates.reads(node, draft.outputs, draft.pointer, lambda name: _NO_SECRETS)
    handler = document.registry.get(HANDLER)
    if encoded is None or handler is None:
        return None
    task = Task(
        handler=handler.name,
        config=msgspec.Raw(encoded),
        reads=reads.outputs,
        timeout_ms=round(node.timeout_s * 1000),
        queue=handler.queue,
        primary=handler.primary,
    )
    return task, reads
