"""The environment and a `.env` file as one mapping; the environment wins.

The file is read by python-dotenv's parser, because other tools read the same file: comments, `export`,
quotes, values over several lines. Nothing is expanded. A `.env` is often shared with other tools, so lines
that set nothing of ours and cannot be read are ignored. One of ours that cannot be read is refused: a secret
that was mistyped must not count as none.
"""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final

from flowengine.errors import SettingsError
from flowengine.settings.regular_file import read_regular_file
from flowengine.settings.table import SETTINGS

_FROM_FILE: Final = tuple(setting.name for setting in SETTINGS if setting.from_file)
_NAME: Final = re.compile(r"\s*(?:(?:export|set|setx|setenv)\s+|\$env:|\$Env:)?'?([^=:#\s']+)")
_OF_OTHER_SHELLS: Final = re.compile(r"\$env:", re.IGNORECASE)
_OURS: Final = re.compile(r"FLOWENGINE_.*|LLM_.*|REDIS_URL(?:_FILE)?")


def environment(
    environ: Mapping[str, str], dotenv: Path | None, *, files_of: Collection[str] = _FROM_FILE
) -> Mapping[str, str]:
    """Every variable of the environment and of `.env`. The environment wins.

    If a setting may come from a file and only NAME_FILE is set, NAME is that file's text, without the
    spaces and lines around it. `files_of`: read only the files of these settings, for a caller that needs no
    others. A missing `.env` is no error. A missing or empty NAME_FILE is one: a secret that was not mounted
    must not count as none. Raises SettingsError, naming the line or the variable.
    """
    merged = {**(_read_dotenv(dotenv) if dotenv is not None else {}), **environ}
    for name in _FROM_FILE:
        file = merged.get(f"{name}_FILE")
        if name in files_of and file and not merged.get(name):
            merged[name] = _read_secret(Path(file), f"{name}_FILE")
    return merged


def _read_dotenv(path: Path) -> dict[str, str]:
    """The variables of the file. What is no regular file (a folder, `/dev/null`) counts as no file."""
    return dict(_variables(read_regular_file(path, str(path)), path)) if path.is_file() else {}


def _variables(text: str, path: Path) -> Iterator[tuple[str, str]]:
    from dotenv.parser import parse_stream

    for binding in parse_stream(io.StringIO(text)):
        key, value = binding.key, binding.value
        is_read = not binding.error and not _OF_OTHER_SHELLS.match(key or "")
        if key is not None and value is not None and is_read:
            yield key, value
        elif (named := _NAME.match(binding.original.string)) and _OURS.fullmatch(named[1]):
            blank = len(binding.original.string) - len(binding.original.string.lstrip())
            line = binding.original.line + binding.original.string[:blank].count("\n")
            raise SettingsError(
                f"{path}:{line}: expected {named[1]}=value, with quotes around a value that needs them"
            )


def _read_secret(path: Path, label: str) -> str:
    text = read_regular_file(path, label).strip()
    if not text:
        raise SettingsError(f"{label}: {path} holds nothing; write the value into it, or unset {label}")
    return text
