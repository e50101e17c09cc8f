"""The tests that templates may use (`x is defined`): pure, total, and never formatting anything.

They replace Jinja's own, of which `odd`, `even` and `divisibleby` use `%` on whatever they get.
"""

from __future__ import annotations

from collections.abc import Callable

from jinja2 import Undefined

from flowengine.template.errors import TemplateEvaluationError
from flowengine.template.values import is_number, type_name


def _present(value: object) -> object:
    if isinstance(value, Undefined):
        str(value)  # raises
    return value


def _whole(name: str, value: object) -> int:
    if type(_present(value)) is not int:
        raise TemplateEvaluationError(f"'is {name}' works on an integer, not on {type_name(value)}")
    return value  # type: ignore[return-value]  # just checked


def _is_defined(value: object) -> bool:
    return not isinstance(value, Undefined)


def _is_undefined(value: object) -> bool:
    return isinstance(value, Undefined)


def _is_none(value: object) -> bool:
    return _present(value) is None


def _is_true(value: object) -> bool:
    return _present(value) is True


def _is_false(value: object) -> bool:
    return _present(value) is False


def _is_boolean(value: object) -> bool:
    return isinstance(_present(value), bool)


def _is_integer(value: object) -> bool:
    return type(_present(value)) is int


def _is_float(value: object) -> bool:
    return type(_present(value)) is float


def _is_number(value: object) -> bool:
    return is_number(_present(value))


def _is_string(value: object) -> bool:
    return isinstance(_present(value), str)


def _is_mapping(value: object) -> bool:
    return isinstance(_present(value), dict)


def _is_sequence(value: object) -> bool:
    return isinstance(_present(value), list | str)


def _is_list(value: object) -> bool:
    return isinstance(_present(value), list)


def _is_odd(value: object) -> bool:
    return _whole("odd", value) % 2 == 1


def _is_even(value: object) -> bool:
    return _whole("even", value) % 2 == 0


def _is_divisible(value: object, by: object) -> bool:
    divisor = _whole("divisibleby", by)
    if divisor == 0:
        raise TemplateEvaluationError("division by zero in 'is divisibleby'")
    return _whole("divisibleby", value) % divisor == 0


def _is_in(value: object, container: object) -> bool:
    if not isinstance(_present(container), str | list | dict):
        raise TemplateEvaluationError(
            f"'in' looks in text, a list or an object, not in {type_name(container)}"
        )
    return _present(value) in container  # type: ignore[operator]  # just checked


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
    "in": _is_in,
}
