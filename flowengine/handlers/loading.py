"""Finds the handlers of a process: built in, installed as entry points, named in FLOWENGINE_HANDLERS.

Every service loads the same set, so that workers can run every workflow that the API accepts.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Final

import msgspec

from flowengine.errors import SettingsError
from flowengine.handlers.invoking.failures import place_of
from flowengine.plugin.registry import Handler, Registry, marked

ENTRY_POINT_GROUP: Final = "flowengine.handlers"
_BUILT_IN: Final = "flowengine.handlers.all_builtin"


def load_registry(extra_modules: Sequence[str] = ()) -> Registry:
    """All handlers of this process.

    Raises SettingsError, which names the culprit: a module or entry point that cannot be imported or has
    no handler, a config or settings type that msgspec cannot use, a name that two handlers have.
    """
    registry = Registry()
    registry.collect(importlib.import_module(_BUILT_IN))
    for entry in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda found: (found.name, found.value)):
        if entry.value != _BUILT_IN:
            _collect(registry, _loaded(entry), f"entry point '{entry.name}' ({entry.value})")
    for name in extra_modules:
        _collect(registry, _imported(name), f"module '{name}' in FLOWENGINE_HANDLERS")
    for item in registry:
        _check_type(item, "config", item.config_type)
        if item.settings_type is not None:
            _check_type(item, "settings", item.settings_type)
    return registry


def _collect(registry: Registry, found: object, where: str) -> None:
    """Register a handler function, or every one that a module or other namespace holds."""
    try:
        item = marked(found)
        if item is not None:
            registry.add(item)
        elif not (hasattr(found, "__dict__") and registry.collect(found)):
            raise SettingsError(f"{where} has no handler: put @handler('name') on a function in it")
    except ValueError as error:
        raise SettingsError(f"{where}: {error}") from error


def _check_type(item: Handler, what: str, kind: type[msgspec.Struct]) -> None:
    """Refuse a struct whose annotations msgspec cannot use, at the start and not at the first node."""
    try:
        msgspec.json.Decoder(kind)
    except (TypeError, NameError) as error:
        raise SettingsError(
            f"handler '{item.name}': its {what} {kind.__name__} cannot be used: {_said(error)}"
        ) from error


def _loaded(entry: EntryPoint) -> object:
    try:
        return entry.load()
    except Exception as error:
        raise SettingsError(
            f"entry point '{entry.name}' ({entry.value}) of group {ENTRY_POINT_GROUP} cannot be loaded: "
            f"{_said(error)}; fix or uninstall the package that brings it"
        ) from error


def _imported(name: str) -> object:
    """The module. The working directory is searched last, so that a module beside the workflow is found."""
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise SettingsError(
            f"FLOWENGINE_HANDLERS names module '{name}', which cannot be imported: {_said(error)}"
        ) from error


def _said(error: Exception) -> str:
    text = str(error.msg) if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {text}{place_of(error)}"
