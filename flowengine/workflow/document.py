"""What the workflow document allows (SPEC section 3): ids, lengths, timeouts, its own fields."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

NODE_ID: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
MAX_ID_CHARS: Final = 200
MAX_NAME_CHARS: Final = 200
MAX_DESCRIPTION_CHARS: Final = 10_000
DEFAULT_TIMEOUT_S: Final = 300
MIN_TIMEOUT_S: Final = 1
MAX_TIMEOUT_S: Final = 3600

WORKFLOW_FIELDS: Final = (
    "name",
    "description",
    "labels",
    "inputs",
    "vars",
    "defaults",
    "timeout_seconds",
    "on_node_failure",
    "hooks_timeout_seconds",
    "concurrency",
    "priority",
    "schedules",
    "after",
    "nodes",
    "on_failure",
    "finally",
    "outputs",
)

NODE_SPELLINGS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("needs", "depends", "depends_on", "dependsOn"), "dependencies"),
    **dict.fromkeys(("uses", "action", "type"), "handler"),
    **dict.fromkeys(("with", "args", "inputs", "params", "parameters"), "config"),
    **dict.fromkeys(("if", "run_if", "condition"), "when"),
    **dict.fromkeys(("foreach", "for_each", "with_items", "parallel"), "map"),
    **dict.fromkeys(("continue_on_error", "allow_failure", "optional"), "on_error"),
    "retries": "retry",
    "timeout": "timeout_seconds",
}
"""What other tools call the fields of a node."""

WORKFLOW_SPELLINGS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("params", "parameters"), "inputs"),
    **dict.fromkeys(("cron", "schedule"), "schedules"),
    "tags": "labels",
    "timeout": "timeout_seconds",
}
"""The same for the fields of the workflow."""
