"""The predicates that templates may use after `is` (Jinja2 calls them tests): `x is defined`.

None of them formats anything. They replace Jinja2's own, of which `odd`, `even` and `divisibleby` use `%` on
whatever they get. `select` and the like know them by the same names. A predicate takes the budget, the value,
then its argument.
"""

from __future__ import annotations

from collections.abc import Callable

from jinja2 import Undefined

from flowengine.template.budget import Budget
from flowengine.template.errors import TemplateEvaluationError
from flowengine.template.functions.comparison import compare, is_in, present
from flowengine.template.functions.patterns import pattern_of
from flowengine.template.json_values import is_number, type_name


def _whole(name: str, value: object) -> int:
    if type(present(value)) is not int:
        raise TemplateEvaluationError(f"'is {name}' works on an integer, not on {type_name(value)}")
    return value  # type: ignore[return-value]  # just checked


def _is_defined(budget: Budget, value: object) -> bool:
    return not isinstance(value, Undefined)


def _is_undefined(budget: Budget, value: object) -> bool:
    return isinstance(value, Undefined)


def _is_none(budget: Budget, value: object) -> bool:
    return present(value) is None


def _is_true(budget: Budget, value: object) -> bool:
    return present(value) is True


def _is_false(budget: Budget, value: object) -> bool:
    return present(value) is False


def _is_boolean(budget: Budget, value: object) -> bool:
    return isinstance(present(value), bool)


def _is_integer(budget: Budget, value: object) -> bool:
    return type(present(value)) is int


def _is_float(budget: Budget, value: object) -> bool:
    return type(present(value)) is float


def _is_number(budget: Budget, value: object) -> bool:
    return is_number(present(value))


def _is_string(budget: Budget, value: object) -> bool:
    return isinstance(present(value), str)


def _is_mapping(budget: Budget, value: object) -> bool:
    return isinstance(present(value), dict)


def _is_sequence(budget: Budget, value: object) -> bool:
    return isinstance(present(value), list | str)


def _is_list(budget: Budget, value: object) -> bool:
    return isinstance(present(value), list)


def _is_odd(budget: Budget, value: object) -> bool:
    return _whole("odd", value) % 2 == 1


def _is_even(budget: Budget, value: object) -> bool:
    return _whole("even", value) % 2 == 0


def _is_divisible(budget: Budget, value: object, by: object) -> bool:
    divisor = _whole("divisibleby", by)
    if divisor == 0:
        raise TemplateEvaluationError("division by zero in 'is divisibleby'")
    return _whole("divisibleby", value) % divisor == 0


def _compares(name: str, symbol: str) -> Callable[[Budget, object, object], bool]:
    def holds(budget: Budget, value: object, other: object) -> bool:
        try:
            return compare(budget, (value, other), (symbol,))
        except TypeError as error:
            raise TemplateEvaluationError(
                f"'is {name}' compares two numbers, two texts or two lists of such, "
                f"not {type_name(value)} and {type_name(other)}"
            ) from error

    return holds


def _contains(budget: Budget, value: object, item: object) -> bool:
    return is_in(budget, item, value)


def _texts(name: str, value: object, part: object) -> tuple[str, str]:
    if not isinstance(present(value), str) or not isinstance(part, str):
        raise TemplateEvaluationError(
            f"'is {name}' looks for text in text, not for {type_name(part)} in {type_name(value)}"
        )
    return value, part  # type: ignore[return-value]  # just checked


def _starts_with(budget: Budget, value: object, part: object) -> bool:
    text, sought = _texts("startswith", value, part)
    budget.spend_work(len(sought))
    return text.startswith(sought)


def _ends_with(budget: Budget, value: object, part: object) -> bool:
    text, sought = _texts("endswith", value, part)
    budget.spend_work(len(sought))
    return text.endswith(sought)


def _is_matching(budget: Budget, value: object, pattern: object) -> bool:
    if not isinstance(present(value), str):
        raise TemplateEvaluationError(f"'is matching' looks in text, not in {type_name(value)}")
    looked_for = pattern_of(budget, "is matching", pattern)
    return looked_for.search(budget, value) is not None  # type: ignore[arg-type]  # just checked


TESTS: dict[str, Callable[..., bool]] = {
    "defined": _is_defined,
    "undefined": _is_undefined,
    "none": _is_none,
    "true": _is_true,
    "false": _is_false,
    "boolean": _is_boolean,
    "integer": _is_integer,
    "float": _is_float,
    "number": _is_number,
    "string": _is_string,
    "mapping": _is_mapping,
    "sequence": _is_sequence,
    "list": _is_list,
    "odd": _is_odd,
    "even": _is_even,
    "divisibleby": _is_divisible,
    "in": is_in,
    "contains": _contains,
    "startswith": _starts_with,
    "endswith": _ends_with,
    "matching": _is_matching,
    "eq": _compares("eq", "eq"),
    "ne": _compares("ne", "ne"),
    "lt": _compares("lt", "lt"),
    "le": _compares("le", "lteq"),
    "gt": _compares("gt", "gt"),
    "ge": _compares("ge", "gteq"),
}
