"""`transform`: one value into another. `transform_types` says what each type does."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from flowengine.execution.error_codes import MISSING_PARAMETER
from flowengine.handlers.builtin.transform_types import TRANSFORMS
from flowengine.plugin.context import Context
from flowengine.plugin.errors import HandlerError
from flowengine.plugin.registry import handler

TransformType = Literal[
    "uppercase",
    "lowercase",
    "title",
    "capitalize",
    "trim",
    "reverse",
    "length",
    "json_parse",
    "json_stringify",
    "split",
    "join",
    "replace",
    "to_number",
    "to_text",
    "first",
    "last",
    "unique",
    "sort",
    "flatten",
    "keys",
    "values",
]


class TransformConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to transform, and how."""

    input: Annotated[Any, msgspec.Meta(description="The value: text, list, object, number, ...")]
    transform_type: Annotated[TransformType, msgspec.Meta(description="What to do with `input`.")]
    separator: Annotated[
        str | None,
        msgspec.Meta(
            description="`split`: where to cut (default: white space); `join`: what to put between."
        ),
    ] = None
    old: Annotated[str | None, msgspec.Meta(description="`replace`: the text to look for.")] = None
    new: Annotated[str, msgspec.Meta(description="`replace`: what to put in its place.")] = ""
    descending: Annotated[bool, msgspec.Meta(description="`sort`: the largest first.")] = False
    indent: Annotated[
        int, msgspec.Meta(ge=0, le=8, description="`json_stringify`: spaces a level; 0 is one line.")
    ] = 0


class TransformResult(msgspec.Struct, frozen=True):
    """The output."""

    result: Any


@handler("transform", primary="result", secrets=False)
def transform(config: TransformConfig, context: Context) -> TransformResult:
    """Transforms one value: text, list, object or JSON.

    Raises HandlerError: `wrong_input_type`, `invalid_json`, `not_a_number`, `missing_parameter`,
    `result_too_large`.
    """
    if config.transform_type == "replace" and not config.old:
        raise HandlerError(MISSING_PARAMETER.code, "replace needs 'old', the text to look for")
    return TransformResult(TRANSFORMS[config.transform_type](config))
