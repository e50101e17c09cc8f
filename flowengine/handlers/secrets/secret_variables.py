"""Where secrets come from: the variables FLOWENGINE_SECRET_NAME and FLOWENGINE_SECRET_NAME_FILE.

A variable whose name ends in `_FILE` names a file and is never a secret itself. Only regular files of at most
64 KiB are read, so that no pipe or device can hold a process up.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, TypeAlias

from flowengine.execution.error_codes import SECRET_MISSING, SECRET_UNUSABLE
from flowengine.plugin.errors import HandlerError
from flowengine.settings.regular_file import read_regular

PREFIX: Final = "FLOWENGINE_SECRET_"
_FILE: Final = "_FILE"
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}\Z")
_MAX_FILE_BYTES: Final = 64 * 1024

Mark: TypeAlias = "tuple[int, ...] | None"
"""What tells one content of a file from the next; None: there is no such file."""


class SecretVariables:
    """The secrets that one process is given. Knows nothing of who uses them."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        """Reads no file yet."""
        ours = {
            name.removeprefix(PREFIX): text for name, text in variables.items() if name.startswith(PREFIX)
        }
        self._texts = {name: text for name, text in ours.items() if not name.endswith(_FILE)}
        self._paths = {name.removesuffix(_FILE): path for name, path in ours.items() if name.endswith(_FILE)}
        self._marks: dict[str, Mark] = {}

    def read(self, name: str) -> tuple[str, str]:
        """The variable's own name and its secret; the name is tried as written, then in capitals.

        Files are read each time. Raises HandlerError: `secret_missing`, `secret_unusable`.
        """
        if not _NAME.match(name):
            raise HandlerError(SECRET_MISSING.code, f"{name[:60]!r} cannot be the name of a secret")
        for candidate in dict.fromkeys((name, name.upper())):
            if candidate in self._texts:
                return candidate, self._texts[candidate]
            if path := self._paths.get(candidate):
                return candidate, _content_of(candidate, path)
        raise HandlerError(
            SECRET_MISSING.code,
            f"the worker has no secret '{name}'; set {PREFIX}{name.upper()} or "
            f"{PREFIX}{name.upper()}{_FILE} on it",
        )

    def names(self) -> list[str]:
        """The names of all secrets, of those too whose file cannot be read."""
        return sorted({*self._texts, *(name for name in self._paths if name)})

    def texts(self) -> Iterator[str]:
        """Every secret that stands in a variable itself."""
        yield from self._texts.values()

    def changed_files(self) -> Iterator[str]:
        """The content of every file that is new or has changed since the last call.

        If a file cannot be read, that is its path: someone may have written the secret where a path belongs.
        """
        for name, path in self._paths.items():
            mark = _mark(path)
            if name in self._marks and self._marks[name] == mark:
                continue
            self._marks[name] = mark
            try:
                yield _content_of(name, path)
            except HandlerError:
                yield path


def _mark(path: str) -> Mark:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _content_of(name: str, path: str) -> str:
    """The text of a file, without the white space at its end. Raises HandlerError: `secret_unusable`."""
    try:
        content = read_regular(Path(path), _MAX_FILE_BYTES + 1)
        if len(content) > _MAX_FILE_BYTES:
            raise ValueError("it is larger than 64 KiB")
        return content.decode().rstrip()
    except (OSError, ValueError) as error:
        reason = "it is no UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)
        if isinstance(error, OSError):
            reason = error.strerror or reason
        raise HandlerError(
            SECRET_UNUSABLE.code, f"the file that {PREFIX}{name}{_FILE} names cannot be read: {reason}"
        ) from error
