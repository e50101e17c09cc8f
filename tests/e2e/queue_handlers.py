"""A handler with a queue of its own. Loaded by the processes under test through FLOWENGINE_HANDLERS."""

from __future__ import annotations

import os

import msgspec

from flowengine.plugin import Context, handler


class Nothing(msgspec.Struct, frozen=True):
    """No config."""


@handler("test_render", queue="gpu")
def render(config: Nothing, context: Context) -> dict[str, int]:
    """Says which process ran it."""
    return {"result": os.getpid()}
