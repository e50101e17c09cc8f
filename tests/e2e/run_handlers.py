"""A handler that says whose process runs it.

Loaded by the processes under test through FLOWENGINE_HANDLERS.
"""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from flowengine.plugin import Context, handler


class Gate(msgspec.Struct, frozen=True):
    """A file that has to be there first; none is waited for by default."""

    file: str = ""


@handler("test_name")
def name(config: Gate, context: Context) -> dict[str, str | None]:
    """The name that its process was given."""
    while config.file and not Path(config.file).exists():
        time.sleep(0.02)
    return {"name": context.environment("NAME_OF_THE_PROCESS")}
