"""What the numbers of a `repeat` may be, as a document says them or as a template gives them."""

from __future__ import annotations

import math
from typing import Final

from flowengine.jsonvalue import JsonValue
from flowengine.template.json_values import is_number, type_name
from flowengine.workflow.repeating.repeat import MAX_ITERATIONS

MONTH_S: Final = 30 * 86_400
LIMITS: Final = {
    "max_iterations": (1, MAX_ITERATIONS),
    "delay_seconds": (0, MONTH_S),
    "initial_delay_seconds": (0, MONTH_S),
    "max_seconds": (1, MONTH_S),
}
"""The least and the most that each number may be."""


def what_is_wrong(field: str, value: JsonValue) -> tuple[str, str] | None:
    """Why a value cannot be that of the field: a code and a message; None: it can."""
    whole = field == "max_iterations"
    lowest, highest = LIMITS[field]
    if not is_number(value) or (whole and not float(value).is_integer()):
        form = "a whole number" if whole else "a number of seconds"
        return "wrong_type", f"'{field}' must be {form}, it is {type_name(value)}"
    if not math.isfinite(value) or not lowest <= value <= highest:
        return "out_of_range", f"'{field}' is {lowest} to {highest}, not {value:g}"
    return None
