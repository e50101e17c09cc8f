"""Reads files that others name: bounded, and never one that has no end or waits for a writer."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from flowengine.errors import SettingsError

MAX_BYTES: Final = 1024 * 1024


def read_regular_file(path: Path, label: str) -> str:
    """The file's text, without a byte order mark. Links are followed.

    `label` names the setting in the error. Raises SettingsError: the file cannot be opened, is a device, a
    pipe or a folder, is larger than MAX_BYTES, or is no UTF-8.
    """
    try:
        content = read_regular(path, MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise SettingsError(f"{label}: cannot read {path}: {reason}") from error
    if len(content) > MAX_BYTES:
        raise SettingsError(f"{label}: cannot read {path}: it is larger than {MAX_BYTES} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SettingsError(f"{label}: cannot read {path}: it is no UTF-8 text") from None


def read_regular(path: Path, max_bytes: int) -> bytes:
    """The first bytes of a file. Raises OSError, and ValueError for a device, a pipe or a folder."""
    # O_NONBLOCK: opening a pipe would otherwise wait for a writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is no regular file")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(max_bytes)
    finally:
        os.close(descriptor)
