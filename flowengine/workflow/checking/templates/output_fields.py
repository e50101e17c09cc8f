"""Which fields the outputs of nodes have, as far as their handlers declare it.

What is not declared is not known, and nothing is said against it.
"""

from __future__ import annotations

import types
import typing
from typing import Any, Final, Literal, TypeAlias

import msgspec

from flowengine.template import FieldRead
from flowengine.template.simple_templates import Path
from flowengine.workflow.checking.object_fields import JsonObject
from flowengine.workflow.checking.templates.expected_types import Expected, fields_of
from flowengine.workflow.output_schema import absent_field, kinds_at
from flowengine.workflow.problems import quoted
from flowengine.workflow.repeating.repeat import ITERATIONS

_PRIMARY: Final = "result"
_UNKNOWN: Final = object()
_SCALARS: Final[dict[Any, str]] = {
    str: "text",
    int: "a number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}


Repeats: TypeAlias = Literal["last", "all"]
"""What the output of a node that repeats is: that of the last iteration, or the list of all."""


class DeclaredOutput(msgspec.Struct, frozen=True):
    """The output of a node. `struct` is None where it is not known; `primary` as in a handler.

    `handler` is empty of what no node gives. `schema`: the JSON Schema of its primary value, where
    it has one. `repeats`: it is that of a node which repeats.
    """

    handler: str
    struct: type[msgspec.Struct] | None
    primary: str | None
    schema: JsonObject | None = None
    repeats: Repeats | None = None


class MissingField(msgspec.Struct, frozen=True):
    """A field that cannot be there. `known`: the fields that are, if there are any."""

    key: str | int
    message: str
    known: tuple[str, ...] = ()


def missing_field(output: DeclaredOutput, read: FieldRead) -> MissingField | None:
    """The first of the fields that the output cannot have; None if all may be there."""
    if output.repeats is not None and (output.repeats == "all" or _reads_number(read.is_primary, read.keys)):
        return _missing_in_repeated(output, read)
    return _missing_in_struct(output, read) or _missing_in_schema(output, read)


def kinds_of_read(output: DeclaredOutput, path: Path) -> frozenset[str] | None:
    """The JSON types of what a template reads of the output; None where that is not known."""
    keys = tuple(key for key, _ in path.keys)
    is_primary = path.reference.kind == "primary"
    if output.repeats is not None and _reads_number(is_primary, keys):
        return frozenset({"integer"}) if len(keys) == 1 else None
    if output.repeats == "all":
        return frozenset({"array"}) if is_primary and not keys else None
    below = _below_primary(output, is_primary, keys)
    if output.schema is not None and below is not None:
        return kinds_at(output.schema, below)
    if output.struct is None or not (keys or is_primary):
        return None
    annotation, _ = _begin(output, output.struct, FieldRead(path.reference.name, is_primary, keys))
    for key in keys:
        annotation = _member(annotation, key)
    return None if annotation is _UNKNOWN else Expected(annotation).kinds


def _reads_number(is_primary: bool, keys: tuple[str | int, ...]) -> bool:
    """Whether the fields begin with the number of iterations."""
    return not is_primary and keys[:1] == (ITERATIONS,)


def _missing_in_repeated(output: DeclaredOutput, read: FieldRead) -> MissingField | None:
    """The field that a number of iterations, or a list of all their results, cannot have."""
    label = quoted(read.node)
    if _reads_number(read.is_primary, read.keys):
        keys, wrong = read.keys[1:], f"{label}.{ITERATIONS} is a number, which has no"
    elif read.is_primary:
        keys = tuple([key for key in read.keys[:1] if isinstance(key, str)])
        wrong = f"{label}.{_PRIMARY} is the list of what all iterations have given, which has no"
    else:
        known = (_PRIMARY, ITERATIONS)
        return MissingField(
            read.keys[0], f"the output of {label}, which collects, has no field {read.keys[0]!r}", known
        )
    return MissingField(keys[0], f"{wrong} {keys[0]!r}") if keys else None


def _missing_in_schema(output: DeclaredOutput, read: FieldRead) -> MissingField | None:
    below = _below_primary(output, read.is_primary, read.keys)
    if output.schema is None or below is None:
        return None
    label = f"{quoted(read.node)}.{_PRIMARY if read.is_primary else output.primary}"
    absent = absent_field(output.schema, below, f"{label} (by its output_schema)")
    return None if absent is None else MissingField(absent.key, absent.message, absent.known)


def _below_primary(
    output: DeclaredOutput, is_primary: bool, keys: tuple[str | int, ...]
) -> tuple[str | int, ...] | None:
    """The keys below the primary value; None where they lead elsewhere."""
    if is_primary:
        return keys
    own = output.struct is not None and _PRIMARY in fields_of(output.struct).by_name
    return keys[1:] if keys and not own and keys[0] == output.primary else None


def _missing_in_struct(output: DeclaredOutput, read: FieldRead) -> MissingField | None:
    if output.struct is None:
        return None
    annotation, label = _begin(output, output.struct, read)
    for key in read.keys:
        missing = _missing(annotation, key, label, output)
        if missing is not None:
            return missing
        annotation, label = _member(annotation, key), f"{label}.{key}"
    return None


def _begin(output: DeclaredOutput, struct: type[msgspec.Struct], read: FieldRead) -> tuple[Any, str]:
    """The type in which the fields begin, and what it is called."""
    if not read.is_primary:
        return struct, quoted(read.node)
    fields = fields_of(struct).by_name
    name = next((name for name in (_PRIMARY, output.primary) if name in fields), None)
    annotation = struct if name is None else fields[name].expected.annotation
    return annotation, f"{quoted(read.node)}.{_PRIMARY}"


def _missing(annotation: Any, key: str | int, label: str, output: DeclaredOutput) -> MissingField | None:
    options = _options(annotation)
    if len(options) == 1 and _is_struct(options[0]):
        known = fields_of(options[0]).known
        if key in known:
            return None
        is_whole = options[0] is output.struct and output.handler
        whose = f"the output of {label} ({output.handler})" if is_whole else label
        if is_whole and output.repeats is not None:
            known = (*known, ITERATIONS)
        return MissingField(key, f"{whose} has no field {key!r}", known)
    if all(option in _SCALARS for option in options) and not (str in options and isinstance(key, int)):
        kinds = " or ".join(dict.fromkeys(_SCALARS[option] for option in options))
        return MissingField(key, f"{label} is {kinds}, which has no {key!r}")
    return None


def _member(annotation: Any, key: str | int) -> Any:
    """The type of the member, or one that nothing is known of."""
    options = _options(annotation)
    if len(options) != 1:
        return _UNKNOWN
    if _is_struct(options[0]) and isinstance(key, str):
        field = fields_of(options[0]).by_name.get(key)
        return _UNKNOWN if field is None else field.expected.annotation
    if typing.get_origin(options[0]) is dict and isinstance(key, str):
        return typing.get_args(options[0])[1]
    if typing.get_origin(options[0]) is list and isinstance(key, int):
        return typing.get_args(options[0])[0]
    return _UNKNOWN


def _options(annotation: Any) -> tuple[Any, ...]:
    """The types that a value may be of, with unions and annotations taken apart."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _options(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return tuple(option for part in typing.get_args(annotation) for option in _options(part))
    return (annotation,)


def _is_struct(option: Any) -> bool:
    return isinstance(option, type) and issubclass(option, msgspec.Struct)
