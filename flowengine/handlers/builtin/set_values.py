"""`set`: gives values names. Its templates do the work; it calls no service."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from flowengine.plugin.context import Context
from flowengine.plugin.registry import AnyObject, handler

LONE_KEY: Final = "value"


class SetResult(msgspec.Struct, frozen=True):
    """The output."""

    result: Any


@handler("set", primary="result", secrets=False, output=SetResult)
def set_values(config: AnyObject, context: Context) -> SetResult:
    """Gives its config as the result, templates filled in; of a lone key `value`, only what that holds."""
    if list(config.fields) == [LONE_KEY]:
        return SetResult(config.fields[LONE_KEY])
    return SetResult(config.fields)
