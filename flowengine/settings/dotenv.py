"""The environment and a `.env` file as one mapping; the environment wins.

The file has lines of `NAME=value`, with an optional `export`, comments and quotes. Single quotes keep
text as it is; double quotes know \\n, \\t, \\r, \\" and \\\\. Nothing is expanded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from flowengine.errors import SettingsError
from flowengine.settings.table import SETTINGS

_ASSIGNMENT = re.compile(r"\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*)")
_SINGLE = re.compile(r"'([^']*)'\s*(?:\s#.*)?")
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)"\s*(?:\s#.*)?')
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


def environment(environ: Mapping[str, str], dotenv: Path | None) -> Mapping[str, str]:
    """Every variable of the environment and of `.env`. The environment wins.

    If a setting may come from a file and only NAME_FILE is set, NAME is that file's text, without the
    spaces and lines around it. A missing `.env` is no error. A missing or empty NAME_FILE is one: a secret
    that was not mounted must not count as none. Raises SettingsError, naming the line or the variable.
    """
    merged = {**(_read_dotenv(dotenv) if dotenv is not None else {}), **environ}
    for setting in SETTINGS:
        file = merged.get(f"{setting.name}_FILE")
        if setting.from_file and file and not merged.get(setting.name):
            merged[setting.name] = _read_secret(Path(file), f"{setting.name}_FILE")
    return merged


def _read_dotenv(path: Path) -> dict[str, str]:
    return dict(_variables(_read(path, str(path)), path)) if path.is_file() else {}


def _variables(text: str, path: Path) -> Iterator[tuple[str, str]]:
    for position, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _parse(line)
        if found is None:
            raise SettingsError(
                f"{path}:{position}: expected NAME=value, with quotes around a value that needs them"
            )
        yield found


def _parse(line: str) -> tuple[str, str] | None:
    assignment = _ASSIGNMENT.fullmatch(line)
    if assignment is None:
        return None
    name, value = assignment[1], assignment[2]
    if single := _SINGLE.fullmatch(value):
        return name, single[1]
    if double := _DOUBLE.fullmatch(value):
        return name, re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), double[1])
    if value.startswith(("'", '"')):
        return None
    return name, "" if value.startswith("#") else re.split(r"\s#", value, maxsplit=1)[0].rstrip()


def _read_secret(path: Path, label: str) -> str:
    text = _read(path, label).strip()
    if not text:
        raise SettingsError(f"{label}: {path} holds nothing; write the value into it, or unset {label}")
    return text


def _read(path: Path, label: str) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{label}: cannot read {path}: {error}") from error
