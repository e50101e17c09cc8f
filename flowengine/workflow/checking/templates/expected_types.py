"""What a field of a config takes, as its type says: as much as is needed to say what is wrong with a value.

Found out once for each type and kept, because a document may hold some hundred thousand values.
"""

from __future__ import annotations

import types
import typing
from functools import cached_property, lru_cache
from typing import Any, Final

import msgspec

from flowengine.plugin.literal_check import ChecksConfig

_NEVER_TEXT: Final = (bool, int, float, list, tuple, set, frozenset, dict, msgspec.Struct, type(None))
_LISTS: Final = (list, tuple, set, frozenset)
_SCALARS: Final = (str, int, float, bool, type(None))
_KINDS: Final[dict[Any, str]] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    type(None): "null",
    dict: "object",
    **dict.fromkeys(_LISTS, "array"),
}


class Expected(msgspec.Struct, frozen=True, dict=True):
    """One type of a field. A property that is None or empty is not known of this type."""

    annotation: Any

    @cached_property
    def list_of(self) -> Any:
        """The type of a list of these."""
        return types.GenericAlias(list, (self.annotation,))

    @cached_property
    def takes_text(self) -> bool:
        """Whether some text may fit."""
        return any(_option_takes_text(option) for option in self._options)

    @cached_property
    def kinds(self) -> frozenset[str] | None:
        """The JSON types of what may fit; None where some option is not well known."""
        found = [_kinds_of_option(option) for option in self._options]
        return None if None in found else frozenset().union(*(kinds for kinds in found if kinds))

    def takes_one_of(self, kinds: frozenset[str]) -> bool:
        """Whether a value of one of these JSON types may fit."""
        return self.kinds is None or not self.kinds.isdisjoint(kinds) or self._takes_as_number(kinds)

    def _takes_as_number(self, kinds: frozenset[str]) -> bool:
        """A number may be whole, and a whole number is a number."""
        numbers = {"integer", "number"}
        return bool(self.kinds is not None and self.kinds & numbers and kinds & numbers)

    @cached_property
    def choices(self) -> tuple[str, ...]:
        """The values of a type that is a choice of literals, as text. It may also take null or an object."""
        literals = [option for option in self._options if typing.get_origin(option) is typing.Literal]
        others = [option for option in self._options if option not in literals]
        if not all(option is type(None) or _is_struct(option) for option in others):
            return ()
        return tuple(str(value) for option in literals for value in typing.get_args(option))

    @cached_property
    def texts(self) -> frozenset[str]:
        """Texts that certainly fit."""
        return frozenset(
            value
            for option in self._options
            if typing.get_origin(option) is typing.Literal
            for value in typing.get_args(option)
            if isinstance(value, str)
        )

    @cached_property
    def has_parts(self) -> bool:
        """Whether anything is known of the parts of an object or list."""
        return any(part is not None for part in (self.fields, self.values, self.items, self.places))

    @cached_property
    def fields(self) -> Fields | None:
        """What an object must hold, where it can be of one struct only and cannot be a mapping."""
        structs, mappings = self._structs, self._of(dict)
        return fields_of(structs[0]) if len(structs) == 1 and not mappings else None

    @cached_property
    def values(self) -> Expected | None:
        """What each value of an object must be, where it can be one mapping only and no struct."""
        mappings = self._of(dict)
        return Expected(typing.get_args(mappings[0])[1]) if len(mappings) == 1 and not self._structs else None

    @cached_property
    def items(self) -> Expected | None:
        """What each item of a list must be, where the number of items is free."""
        lists = self._of(*_LISTS)
        return Expected(typing.get_args(lists[0])[0]) if len(lists) == 1 and not _is_fixed(lists[0]) else None

    @cached_property
    def places(self) -> tuple[Expected, ...] | None:
        """What each item of a list must be in turn, where their number is fixed."""
        lists = self._of(*_LISTS)
        if len(lists) != 1 or not _is_fixed(lists[0]):
            return None
        return tuple(Expected(item) for item in typing.get_args(lists[0]))

    @cached_property
    def refuses_objects(self) -> bool:
        """Whether it is certain that no object fits."""
        return self._is_well_known and not self._structs and not self._of(dict) and dict not in self._options

    @cached_property
    def refuses_lists(self) -> bool:
        """Whether it is certain that no list fits."""
        takes_any_list = any(option in _LISTS for option in self._options)
        return self._is_well_known and not self._of(*_LISTS) and not takes_any_list

    @cached_property
    def _options(self) -> tuple[Any, ...]:
        """The plain types that it stands for, with unions, annotations and aliases taken apart."""
        options: list[Any] = []
        pending = [self.annotation]
        while pending:
            item = pending.pop()
            origin = typing.get_origin(item)
            if origin is typing.Annotated:
                pending.append(typing.get_args(item)[0])
            elif origin in (typing.Union, types.UnionType):
                pending.extend(typing.get_args(item))
            elif hasattr(item, "__supertype__"):  # NewType
                pending.append(item.__supertype__)
            elif type(item).__name__ == "TypeAliasType":
                pending.append(item.__value__)
            else:
                options.append(item)
        return tuple(options)

    @cached_property
    def _structs(self) -> list[type[msgspec.Struct]]:
        return [option for option in self._options if _is_struct(option)]

    def _of(self, *origins: type) -> list[Any]:
        return [option for option in self._options if typing.get_origin(option) in origins]

    @cached_property
    def _is_well_known(self) -> bool:
        return all(_takes_known_containers(option) for option in self._options)


class Field(msgspec.Struct, frozen=True):
    """One field of a struct."""

    is_required: bool
    expected: Expected


class Fields(msgspec.Struct, frozen=True):
    """The fields of a struct by their names in JSON. `known` and `names` also have the name of the tag.

    `rules` is the struct itself, if it has rules about several fields at once.
    """

    known: tuple[str, ...]
    names: frozenset[str]
    by_name: dict[str, Field]
    rules: type[ChecksConfig] | None


@lru_cache(256)
def fields_of(struct: type[msgspec.Struct]) -> Fields:
    """The fields of a struct. Cached, because msgspec evaluates the annotations anew each time."""
    found = {
        field.encode_name: Field(field.required, Expected(field.type))
        for field in msgspec.structs.fields(struct)
    }
    tag = struct.__struct_config__.tag_field
    known = tuple(found) if tag is None else (tag, *found)
    rules = struct if issubclass(struct, ChecksConfig) else None
    return Fields(known, frozenset(known), found, rules)


def _is_struct(option: Any) -> bool:
    return isinstance(option, type) and issubclass(option, msgspec.Struct)


def _is_fixed(option: Any) -> bool:
    return typing.get_origin(option) is tuple and typing.get_args(option)[-1:] != (Ellipsis,)


def _takes_known_containers(option: Any) -> bool:
    origin = typing.get_origin(option)
    return option in _SCALARS or origin is typing.Literal or origin in (*_LISTS, dict) or _is_struct(option)


def _kinds_of_option(option: Any) -> frozenset[str] | None:
    """The JSON types of a value of this type; None where they are not known."""
    if typing.get_origin(option) is typing.Literal:
        found = [_KINDS.get(type(value)) for value in typing.get_args(option)]
        return None if None in found else frozenset(kind for kind in found if kind)
    if _is_struct(option):
        return frozenset({"object"})
    kind = _KINDS.get(typing.get_origin(option) or option)
    return None if kind is None else frozenset({kind})


def _option_takes_text(option: Any) -> bool:
    origin = typing.get_origin(option)
    if origin is typing.Literal:
        return any(isinstance(value, str) for value in typing.get_args(option))
    plain = origin or option
    return not (isinstance(plain, type) and plain is not object and issubclass(plain, _NEVER_TEXT))
