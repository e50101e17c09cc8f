"""The workflow document as people write it (SPEC section 3), once it has been found right. Pure data."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from flowengine.jsonvalue import JsonValue

NODE_ID: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
MAX_ID_CHARS: Final = 200
MAX_NAME_CHARS: Final = 200
MAX_DESCRIPTION_CHARS: Final = 10_000
DEFAULT_TIMEOUT_S: Final = 300
MIN_TIMEOUT_S: Final = 1
MAX_TIMEOUT_S: Final = 3600

WORKFLOW_FIELDS: Final = ("name", "description", "nodes")
NODE_FIELDS: Final = ("id", "handler", "config", "dependencies", "timeout_seconds")


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One step: the handler it names, that handler's config, and the nodes that must complete first."""

    id: str
    handler: str
    config: dict[str, JsonValue] = {}
    dependencies: tuple[str, ...] = ()
    timeout_seconds: float = DEFAULT_TIMEOUT_S


class Workflow(msgspec.Struct, frozen=True, kw_only=True):
    """A whole document."""

    name: str
    nodes: tuple[Node, ...]
    description: str | None = None
