"""The functions that templates may call, as in `now()`: a closed list.

A function takes the budget, what the rendering gives it (see GIVEN_TO_CALLS), then its arguments.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

from jinja2 import Undefined

from flowengine.template.budget import Budget
from flowengine.template.errors import TemplateEvaluationError
from flowengine.template.functions.charged_values import LOOK_COST, MISSING
from flowengine.template.functions.dates import at_moment, write_time, zone
from flowengine.template.json_values import type_name

MAX_RANGE: Final = 10_000
_UUID_SPACE: Final = bytes.fromhex("5f0ce0b25d8b5a6c9a1e4a6f3b7d1c42")


def _now(budget: Budget, moment: int) -> str:
    return write_time(at_moment(moment))


def _today(budget: Budget, moment: int, timezone: object = "UTC") -> str:
    return at_moment(moment).astimezone(zone("today", timezone)).date().isoformat()


def _uuid(budget: Budget, name: str) -> str:
    """A UUID of version 5 (RFC 9562): the same for the same name, and for no other."""
    digits = hashlib.sha1(_UUID_SPACE + name.encode(), usedforsecurity=False).hexdigest()[:32]
    variant = f"{int(digits[16], 16) & 0x3 | 0x8:x}"
    return f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def _range(budget: Budget, nothing: None, start: object, end: object = MISSING) -> list[int]:
    first, beyond = (0, start) if end is MISSING else (start, end)
    if type(first) is not int or type(beyond) is not int:
        given = " and ".join(type_name(bound) for bound in (start, end) if bound is not MISSING)
        raise TemplateEvaluationError(f"'range' takes whole numbers, not {given}")
    count = max(0, beyond - first)
    if count > MAX_RANGE:
        raise TemplateEvaluationError(f"'range' gives at most {MAX_RANGE} numbers, not {count}")
    budget.spend_work(count * LOOK_COST)
    return list(range(first, beyond))


def _coalesce(budget: Budget, nothing: None, value: object, *others: object) -> object:
    present = (each for each in (value, *others) if not isinstance(each, Undefined))
    return next((each for each in present if each is not None), None)


FUNCTIONS: Final[dict[str, Callable[..., object]]] = {
    "coalesce": _coalesce,
    "now": _now,
    "range": _range,
    "today": _today,
    "uuid": _uuid,
}

GIVEN_TO_CALLS: Final = {"now": "moment", "today": "moment", "uuid": "uuid"}
"""The functions that the rendering gives something: the kind of the reference that stands for it."""

TAKES_UNDEFINED: Final = frozenset({"coalesce"})
"""Their arguments may be something that does not exist."""


def as_filter(function: str) -> str:
    """The name under which the sandbox knows a function: no filter of a template can have it."""
    return f"{function}()"
