"""Secrets for `{{ secrets.NAME }}`: read in the worker only, and taken out of whatever leaves it.

What was handed out once, and the worker's own credentials, are replaced by `***` in texts and results:
as they are, and as JSON, URL, base64 and Python's repr write them. A value shorter than 4 characters is
not handed out: to replace it would garble every result, and not to would show it. Where a text was cut
short (`...`), the start of a secret before the cut goes too. Not replaced: other encryptions or encodings
of a value, and other parts of it.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote, quote_plus

import msgspec

from flowengine.jsonvalue import JsonValue, UnencodableError, decode, encode
from flowengine.plugin.errors import HandlerError

MASK: Final = "***"
MIN_CHARS: Final = 4

CUT: Final = "..."
_MAX_CUT_CHARS: Final = 8192

_PREFIX: Final = "FLOWENGINE_SECRET_"
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}\Z")
_MAX_FILE_BYTES: Final = 64 * 1024
_MIN_BASE64_CHARS: Final = 6
_MIN_LINE_CHARS: Final = 16


class Secrets:
    """The secrets of one process. Safe to use from several threads."""

    def __init__(self, environ: Mapping[str, str], *, own: Iterable[str] = ()) -> None:
        """`own`: credentials that no template can name, which a service may repeat in its answer all the
        same. One shorter than 4 characters is left where it is."""
        self._environ = environ
        self._lock = threading.Lock()
        self._forms: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        for value in own:
            if len(value) >= MIN_CHARS:
                self._keep_out(value)

    def lookup(self, name: str) -> str:
        """The value of FLOWENGINE_SECRET_<name>, or of the file that FLOWENGINE_SECRET_<name>_FILE names.

        The name is tried as written, then in capitals. Files are read each time, so that a secret
        can be changed while the worker runs; white space at the end of a file is not part of it.
        Raises HandlerError: `secret_missing`, `secret_unusable`.
        """
        if not _NAME.match(name):
            raise HandlerError("secret_missing", f"{name[:60]!r} cannot be the name of a secret")
        for candidate in dict.fromkeys((name, name.upper())):
            value = self._read(candidate)
            if value is not None:
                self._remember(name, value)
                return value
        raise HandlerError(
            "secret_missing",
            f"the worker has no secret '{name}'; set {_PREFIX}{name.upper()} or "
            f"{_PREFIX}{name.upper()}_FILE on it",
        )

    def redact(self, text: str) -> str:
        """The text with every secret handed out so far, and every one of `own`, replaced by `***`."""
        pattern = self._pattern
        if pattern is None:
            return text
        redacted = pattern.sub(MASK, text)
        if CUT not in redacted or len(redacted) > _MAX_CUT_CHARS:
            return redacted
        *before, last = redacted.split(CUT)
        return CUT.join([*(self._without_start(piece) for piece in before), last])

    def _without_start(self, piece: str) -> str:
        """A text that was cut short, less the start of a secret at its end."""
        kept = piece.rstrip("'\"")
        for form in self._forms:
            at = kept.find(form[:MIN_CHARS], max(0, len(kept) - len(form)))
            while at >= 0:
                if form.startswith(kept[at:]):
                    return f"{kept[:at]}{MASK}{piece[len(kept) :]}"
                at = kept.find(form[:MIN_CHARS], at + 1)
        return piece

    def redact_json(self, data: bytes) -> bytes:
        """The same for a JSON document, in keys, texts and numbers. What holds no secret comes back as is.

        Raises msgspec.DecodeError when `data` is no JSON, UnencodableError when it is nested too
        deeply to be searched.
        """
        pattern = self._pattern
        if pattern is None:
            return data
        # An escaped character may hide a secret from a search of the document as it stands.
        text = data.decode(errors="replace")
        if "\\" not in text and pattern.search(text) is None:
            return data
        try:
            return encode(self._redacted(decode(data)))
        except RecursionError as error:
            raise UnencodableError("nested too deeply") from error

    def _redacted(self, value: JsonValue) -> JsonValue:
        match value:
            case str():
                return self.redact(value)
            case list():
                return [self._redacted(item) for item in value]
            case dict():
                return {self.redact(key): self._redacted(item) for key, item in value.items()}
            case bool() | None:
                return value
        written = msgspec.json.encode(value).decode()
        redacted = self.redact(written)
        return value if redacted == written else redacted

    def _read(self, name: str) -> str | None:
        value = self._environ.get(f"{_PREFIX}{name}")
        path = self._environ.get(f"{_PREFIX}{name}_FILE")
        if value is not None or not path:
            return value
        try:
            with Path(path).open("rb") as file:
                content = file.read(_MAX_FILE_BYTES + 1)
            if len(content) > _MAX_FILE_BYTES:
                raise ValueError(f"it is larger than {_MAX_FILE_BYTES} bytes")
            return content.decode().rstrip()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text of at most 64 KiB"
            raise HandlerError(
                "secret_unusable", f"the file that {_PREFIX}{name}_FILE names cannot be read: {reason}"
            ) from error

    def _remember(self, name: str, value: str) -> None:
        if len(value) < MIN_CHARS:
            raise HandlerError(
                "secret_unusable",
                f"secret '{name}' is shorter than {MIN_CHARS} characters: "
                "it could not be kept out of results and errors",
            )
        self._keep_out(value)

    def _keep_out(self, value: str) -> None:
        with self._lock:
            if value in self._forms:
                return
            self._forms.update(_written(value))
            longest_first = sorted(self._forms, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, longest_first)))


def _written(value: str) -> Iterator[str]:
    """The ways in which `value` may be written elsewhere."""
    yield value
    yield from (line for line in value.splitlines() if len(line) >= _MIN_LINE_CHARS)
    yield msgspec.json.encode(value).decode()[1:-1]
    yield json.dumps(value)[1:-1]
    yield repr(value)[1:-1]
    for percent in (quote(value), quote(value, safe=""), quote_plus(value)):
        yield percent
        yield re.sub(r"%[0-9A-F]{2}", lambda escape: escape[0].lower(), percent)
    yield from _base64_forms(value.encode())


def _base64_forms(data: bytes) -> Iterator[str]:
    """`data` as it appears inside the base64 of something longer: at each of three alignments."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + data).decode()
        # Characters that also hold bits of the neighbours differ from case to case.
        first = (before * 8 + 5) // 6
        last = (before + len(data)) * 8 // 6
        core = encoded[first:last]
        if len(core) >= _MIN_BASE64_CHARS:
            yield core
            yield core.replace("+", "-").replace("/", "_")
