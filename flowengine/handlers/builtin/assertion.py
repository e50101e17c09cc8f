"""`assert`: fails where something does not hold that what follows relies on."""

from __future__ import annotations

from typing import Annotated

import msgspec

from flowengine.execution.error_codes import ASSERTION_FAILED, INVALID_CONFIG
from flowengine.handlers.builtin.checked_values import describe
from flowengine.plugin.context import Context
from flowengine.plugin.errors import HandlerError
from flowengine.plugin.registry import handler


class AssertConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What must hold."""

    that: Annotated[
        bool | str | None,
        msgspec.Meta(description="One template that gives true or false; null is false."),
    ]
    message: Annotated[str, msgspec.Meta(description="What the node fails with.")] = ""
    code: Annotated[
        str, msgspec.Meta(description="The error's code.", pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}(?![\s\S])")
    ] = ASSERTION_FAILED.code


class AssertResult(msgspec.Struct, frozen=True):
    """The output: `result` is true."""

    result: bool


@handler("assert", primary="result", secrets=False, output=AssertResult)
def assert_that(config: AssertConfig, context: Context) -> AssertResult:
    """Goes on if `that` is true, and fails for good if it is false.

    Raises HandlerError: `assertion_failed` or the config's code; `invalid_config` if `that` is no boolean.
    """
    if config.that is not None and not isinstance(config.that, bool):
        raise HandlerError(
            INVALID_CONFIG.code, f"config.that must give true, false or null, not {describe(config.that)}"
        )
    if not config.that:
        message = config.message or "what `that` asserts is not true"
        raise HandlerError(config.code, message, permanent=True)
    return AssertResult(result=True)
