"""The settings that handlers take as structs: FlowEngine's own, and those of users from the environment.

A worker makes them once, when it starts, so that a wrong value stops the start and fails no node.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

import msgspec

from flowengine.errors import SettingsError
from flowengine.plugin.registry import Handler, Registry
from flowengine.settings.model import HttpSettings, LlmSettings, Settings

HandlerSettings: TypeAlias = Mapping[type[msgspec.Struct], msgspec.Struct]


def load_handler_settings(
    registry: Registry, settings: Settings, variables: Mapping[str, str]
) -> HandlerSettings:
    """What each handler of this process takes as its settings, by the struct's type.

    A field of a user's struct is read from the variable of its name in capitals; an empty one counts as
    not set. Raises SettingsError with every variable that is missing or wrong. The value itself is not
    repeated, since it may be a secret.
    """
    made: dict[type[msgspec.Struct], msgspec.Struct] = {
        HttpSettings: settings.http,
        LlmSettings: settings.llm,
    }
    wrong: list[str] = []
    for item in registry:
        if item.settings_type is None or item.settings_type in made:
            continue
        problems = list(_problems(item.settings_type, variables))
        wrong += [f"{problem} (handler '{item.name}')" for problem in problems]
        if not problems:
            made[item.settings_type] = _converted(item, item.settings_type, variables)
    if wrong:
        raise SettingsError("\n".join(wrong))
    return made


def _problems(kind: type[msgspec.Struct], variables: Mapping[str, str]) -> Iterator[str]:
    for field in msgspec.structs.fields(kind):
        name = _variable(field)
        text = variables.get(name, "").strip()
        if not text and field.required:
            yield f"{name} is not set"
        elif text:
            try:
                msgspec.convert(text, field.type, strict=False)
            except msgspec.ValidationError as error:
                reason = str(error)
                yield f"{name} is wrong" if f"'{text}'" in reason else f"{name} is wrong: {reason}"


def _converted(item: Handler, kind: type[msgspec.Struct], variables: Mapping[str, str]) -> msgspec.Struct:
    given = {
        field.encode_name: text
        for field in msgspec.structs.fields(kind)
        if (text := variables.get(_variable(field), "").strip())
    }
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:  # what the struct itself finds wrong, in its __post_init__
        raise SettingsError(f"the settings of handler '{item.name}' are wrong: {error}") from error


def _variable(field: msgspec.structs.FieldInfo) -> str:
    return field.encode_name.upper()
