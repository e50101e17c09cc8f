"""`aggregate`: makes one value out of many. Knows nothing of where the values come from."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal

import msgspec

from flowengine.execution.error_codes import EMPTY_INPUTS, WRONG_INPUT_TYPE
from flowengine.handlers.builtin.checked_values import (
    Number,
    as_number,
    checked,
    describe,
    join_texts,
    too_large,
)
from flowengine.handlers.builtin.compute import divide
from flowengine.plugin.context import Context
from flowengine.plugin.errors import HandlerError
from flowengine.plugin.registry import handler


class AggregateConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which values to combine, and how."""

    inputs: Annotated[
        list[Any], msgspec.Meta(description="The values, or one template that gives a list of them.")
    ]
    aggregate_type: Annotated[
        Literal["sum", "concat", "list", "average", "min", "max", "count", "merge"],
        msgspec.Meta(
            description="`concat` joins texts, or lists; `list` keeps the inputs as they are; "
            "`merge` puts objects into one, later keys winning; `min` and `max` compare numbers, or "
            "texts where they do not all spell numbers."
        ),
    ]
    separator: Annotated[str, msgspec.Meta(description="`concat` of texts: what to put between them.")] = ""


class AggregateResult(msgspec.Struct, frozen=True):
    """The output."""

    result: Any


@handler("aggregate", primary="result", secrets=False, output=AggregateResult)
def aggregate(config: AggregateConfig, context: Context) -> AggregateResult:
    """Combines many values into one: sum, concat, list, average, min, max, count or merge.

    Raises HandlerError: `not_a_number`, `wrong_input_type`, `empty_inputs`, `result_too_large`.
    """
    return AggregateResult(_AGGREGATES[config.aggregate_type](config))


def _numbers(config: AggregateConfig) -> list[Number]:
    return [as_number(item, f"inputs[{position}]") for position, item in enumerate(config.inputs)]


def _sum(config: AggregateConfig) -> Number:
    """Exact for integers, rounded once for floats. The sum of nothing is 0."""
    numbers = _numbers(config)
    if all(isinstance(number, int) for number in numbers):
        return checked(sum(numbers), "the sum")
    try:
        return checked(math.fsum(numbers), "the sum")
    except OverflowError as error:
        raise too_large("the sum") from error


def _average(config: AggregateConfig) -> Number:
    _refuse_empty(config)
    return checked(divide(_sum(config), len(config.inputs)), "the average")


def _refuse_empty(config: AggregateConfig) -> None:
    if not config.inputs:
        raise HandlerError(
            EMPTY_INPUTS.code, f"{config.aggregate_type} needs at least one input, there is none"
        )


def _extreme(choose: Callable[[list[Any]], Any]) -> Callable[[AggregateConfig], object]:
    def find(config: AggregateConfig) -> object:
        _refuse_empty(config)
        texts = all(isinstance(item, str) for item in config.inputs)
        return choose(config.inputs if texts and not _spell_numbers(config) else _numbers(config))

    return find


def _spell_numbers(config: AggregateConfig) -> bool:
    try:
        return bool(_numbers(config))
    except HandlerError:
        return False


def _concat(config: AggregateConfig) -> str | list[Any]:
    if config.inputs and all(isinstance(item, list) for item in config.inputs):
        return [member for item in config.inputs for member in item]
    return join_texts(config.inputs, config.separator, "concat")


def _merge(config: AggregateConfig) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for position, item in enumerate(config.inputs):
        if not isinstance(item, dict):
            raise HandlerError(
                WRONG_INPUT_TYPE.code, f"merge needs objects; inputs[{position}] is {describe(item)}"
            )
        merged.update(item)
    return merged


_AGGREGATES: Final[Mapping[str, Callable[[AggregateConfig], object]]] = {
    "sum": _sum,
    "concat": _concat,
    "list": lambda config: config.inputs,
    "average": _average,
    "min": _extreme(min),
    "max": _extreme(max),
    "count": lambda config: len(config.inputs),
    "merge": _merge,
}
