"""What the plan says of a node that runs as an execution of a definition. Pure data."""

from __future__ import annotations

from typing import Final

import msgspec

WORKFLOW: Final = "workflow"
"""The handler whose nodes run as executions of definitions."""


class Calls(msgspec.Struct, frozen=True, array_like=True):
    """The node runs as an execution of a definition. `timeout_ms`: how long that may take; 0: as long as it
    takes."""

    timeout_ms: int = 0
