"""The settings of a process as they may be shown: nothing of a secret."""

from __future__ import annotations

import re

import msgspec

from flowengine.settings.model import HIDDEN, Settings
from flowengine.settings.parsing import Value
from flowengine.settings.table import SETTINGS

_CREDENTIALS = re.compile(r"//.*@")


class ShownSetting(msgspec.Struct, frozen=True):
    """One setting. `value` and `default` are None where there is none."""

    name: str
    value: str | None
    default: str | None
    summary: str
    allowed: str


def shown_settings(settings: Settings) -> tuple[ShownSetting, ...]:
    """All of them, in the order of the reference. A secret that is set is `***`."""
    return tuple(
        ShownSetting(
            setting.name,
            _shown(setting.field, _value(settings, setting.field)),
            _text(setting.default()),
            setting.summary,
            setting.parser.allowed,
        )
        for setting in SETTINGS
    )


def _value(settings: Settings, field: str) -> Value:
    value: object = settings
    for part in field.split("."):
        value = getattr(value, part)
    assert value is None or isinstance(value, str | int | float | bool | tuple)
    return value


def _shown(field: str, value: Value) -> str | None:
    text = _text(value)
    if text is None:
        return None
    return "***" if field in HIDDEN else _CREDENTIALS.sub("//***@", text)


def _text(value: Value) -> str | None:
    if value is None or value == ():
        return None
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(value) if isinstance(value, tuple) else str(value)
