"""`response_format`: the form that an answer must have, as the chat completions API takes it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal

import msgspec

from flowengine.template import is_template

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_MOST_CHARS: Final = 200


class JsonSchemaFormat(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The schema that the answer must match. The API wants a name for it."""

    schema: dict[str, Any]
    name: str = "answer"
    description: str | None = None
    strict: bool | None = None

    def __post_init__(self) -> None:
        if not _NAME.match(self.name):
            raise ValueError("`name` has 1 to 64 letters, digits, _ and -")
        if (wrong := wrong_with_schema(self.schema)) is not None:
            raise ValueError(wrong)


class ResponseFormat(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The form. `schema` beside `json_object` is llama.cpp's way of giving one."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchemaFormat | None = None
    schema: Annotated[dict[str, Any], msgspec.Meta(description="A JSON Schema, for llama.cpp.")] | None = None

    def __post_init__(self) -> None:
        for _, wrong in self.wrong_with(msgspec.structs.asdict(self)):
            raise ValueError(wrong)
        if self.schema is not None and (why := wrong_with_schema(self.schema)):
            raise ValueError(why)

    @classmethod
    def wrong_with(cls, config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Fields that do not go together, as far as it is known before templates are rendered."""
        kind = config["type"]
        if isinstance(kind, str) and is_template(kind):
            return
        if (kind == "json_schema") != (config.get("json_schema") is not None):
            yield "", "`json_schema` and the type json_schema go together"
        if config.get("schema") is not None and kind != "json_object":
            yield "", "`schema` goes with the type json_object; json_schema has it inside"

    def as_sent(self) -> dict[str, Any]:
        """The form as JSON, without what is not given."""
        sent: dict[str, Any] = {"type": self.type}
        if self.schema is not None:
            sent["schema"] = self.schema
        if self.json_schema is not None:
            inside = msgspec.to_builtins(self.json_schema)
            sent["json_schema"] = {key: value for key, value in inside.items() if value is not None}
        return sent


def wrong_with_schema(schema: dict[str, Any]) -> str | None:
    """Why the object is no JSON Schema (draft 2020-12), or None. Fetches nothing, whatever it refers to."""
    import jsonschema_rs

    # The draft is fixed, because another `$schema` would be fetched from the address that it names.
    draft = {key: value for key, value in schema.items() if key != "$schema"}
    try:
        jsonschema_rs.meta.validate(draft)
    except jsonschema_rs.ValidationError as error:
        place = "/".join(map(str, error.instance_path))
        said = _unknown_type(error.instance) or error.message[:_MOST_CHARS]
        return f"the schema is no JSON Schema: {said}" + (f" (at {place})" if place else "")
    except ValueError as error:
        return f"the schema is no JSON Schema: {str(error)[:_MOST_CHARS]}"
    return None


def _unknown_type(value: object) -> str | None:
    """The library's own words for a wrong type speak of its meta-schema."""
    if not isinstance(value, str):
        return None
    return (
        f"'{value[:60]}' is not allowed here; types are string, number, integer, boolean, object, array, null"
    )
