"""A handler's fields in words: their types, what is allowed, defaults. Made of the config's JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from flowengine.plugin import AnyObject

Schema = Mapping[str, Any]

_TYPES: Final = {
    "string": "text",
    "integer": "integer",
    "number": "number",
    "boolean": "true or false",
    "null": "null",
    "object": "object",
    "array": "list",
}
_BOUNDS: Final = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
    "multipleOf": "a multiple of {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "pattern": "matching {}",
}


class FieldWords(msgspec.Struct, frozen=True):
    """One field. `default` is JSON, None where there is none to tell; `parts` are the fields of an object."""

    name: str
    kind: str
    is_required: bool
    default: str | None
    description: str
    parts: tuple[FieldWords, ...] = ()

    @property
    def label(self) -> str:
        """The name, marked if the field is required."""
        return f"{self.name}*" if self.is_required else self.name

    @property
    def kind_and_default(self) -> str:
        """`one of GET, POST = "GET"`."""
        return self.kind if self.default is None else f"{self.kind} = {self.default}"


def fields_in_words(struct: type[msgspec.Struct]) -> tuple[FieldWords, ...]:
    """The fields of a struct, in its order."""
    if struct is AnyObject:
        return ()
    (schema,), definitions = msgspec.json.schema_components(
        [struct], schema_hook=lambda kind: {"title": kind.__name__}, ref_template="{name}"
    )
    return tuple(_fields(_resolved(schema, definitions), definitions, ()))


def no_fields(struct: type[msgspec.Struct]) -> str:
    """What is said of a config that lists no fields."""
    return "any fields" if struct is AnyObject else "nothing"


def config_schema(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """The JSON Schema of a handler's config."""
    return {"type": "object"} if struct is AnyObject else msgspec.json.schema(struct)


def output_in_words(struct: type[msgspec.Struct]) -> dict[str, str]:
    """The type of each field of an output, by name."""
    return {field.encode_name: _kind_of_type(field.type) for field in msgspec.structs.fields(struct)}


def _kind_of_type(kind: Any) -> str:
    try:
        (schema,), definitions = msgspec.json.schema_components([kind], ref_template="{name}")
    except TypeError:  # a type that msgspec can encode and not describe: JsonValue, which holds itself
        return "anything"
    return _kind(schema, definitions)


def _fields(schema: Schema, definitions: Schema, above: tuple[int, ...]) -> Iterator[FieldWords]:
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        has_default = "default" in field and name not in required
        yield FieldWords(
            name=name,
            kind=_kind(field, definitions),
            is_required=name in required,
            default=json.dumps(field["default"], ensure_ascii=False) if has_default else None,
            description=_description(field),
            parts=tuple(_parts(field, definitions, above)),
        )


def _parts(field: Schema, definitions: Schema, above: tuple[int, ...]) -> Iterator[FieldWords]:
    """The fields of the objects that a field holds. Those of an object inside itself are told once."""
    for option in (field, *field.get("anyOf", ())):
        item = option.get("items", option)
        inner = _resolved(item, definitions) if isinstance(item, Mapping) else {}
        if "properties" in inner and id(inner) not in above:
            yield from _fields(inner, definitions, (*above, id(inner)))


def _kind(schema: Schema, definitions: Schema) -> str:
    schema = _resolved(schema, definitions)
    if "anyOf" in schema:
        kinds = dict.fromkeys(_kind(option, definitions) for option in schema["anyOf"])
        return " or ".join(kinds)
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    kind = _TYPES.get(schema.get("type", ""), "anything")
    if kind == "list" and isinstance(schema.get("items"), Mapping) and schema["items"]:
        kind = f"list of {_kind(schema['items'], definitions)}"
    bounds = [words.format(schema[name]) for name, words in _BOUNDS.items() if name in schema]
    return ", ".join([kind, *bounds])


def _description(field: Schema) -> str:
    """The field's own; msgspec puts that of a type in a union beside the type."""
    own = field.get("description", "")
    others = [option.get("description", "") for option in field.get("anyOf", ()) if "$ref" not in option]
    return str(own or next(filter(None, others), ""))


def _resolved(schema: Schema, definitions: Schema) -> Schema:
    name = schema.get("$ref")
    return schema if name is None else definitions[name]
