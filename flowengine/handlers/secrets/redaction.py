"""Secrets for `{{ secrets.NAME }}`: read in the worker only, and taken out of whatever leaves it.

What was handed out once, and the worker's own credentials, are replaced by `***` in texts and results:
as they are, in either case, inside base64, and in every escaped form that `escaped_forms` knows. Of a URL, what
may be shown of it elsewhere goes too. A value shorter than 4 characters is not handed out: to replace it
would garble every result, and not to would show it. Where a text was cut short (`...`), the start of a
secret before the cut goes too. Not replaced: other encryptions or encodings of a value, and other parts
of it.
"""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from flowengine.execution.error_codes import SECRET_MISSING, SECRET_UNUSABLE
from flowengine.handlers.http.outgoing_request import public_url
from flowengine.handlers.secrets.escaped_forms import EscapedForms
from flowengine.jsonvalue import UnencodableError, decode, encode
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
_MIN_URL_PART_CHARS: Final = 8
_URL_SAFE: Final = {"+": "-", "/": "_"}
_TEXT_OR_NUMBER: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|-?[0-9][0-9.eE+-]*+')
_IS_KEY: Final = re.compile(r"\s*:")
_ESCAPED_CHARACTER: Final = re.compile(r"\\u([0-9a-fA-F]{4})")


class Secrets:
    """The secrets of one process. Safe to use from several threads."""

    def __init__(self, environ: Mapping[str, str], *, own: Iterable[str] = ()) -> None:
        """`own`: credentials that no template can name, which a service may repeat in its answer all the
        same. One shorter than 4 characters is left where it is."""
        self._environ = environ
        self._lock = threading.Lock()
        self._known: set[str] = set()
        self._forms: tuple[EscapedForms, ...] = ()
        for value in own:
            if len(value.strip()) >= MIN_CHARS:
                self._keep_out(value)

    def lookup(self, name: str) -> str:
        """The value of FLOWENGINE_SECRET_<name>, or of the file that FLOWENGINE_SECRET_<name>_FILE names.

        The name is tried as written, then in capitals. Files are read each time, so that a secret
        can be changed while the worker runs; white space at the end of a file is not part of it.
        Raises HandlerError: `secret_missing`, `secret_unusable`.
        """
        if not _NAME.match(name):
            raise HandlerError(SECRET_MISSING.code, f"{name[:60]!r} cannot be the name of a secret")
        for candidate in dict.fromkeys((name, name.upper())):
            value = self._read(candidate)
            if value is not None:
                self._remember(name, value)
                return value
        raise HandlerError(
            SECRET_MISSING.code,
            f"the worker has no secret '{name}'; set {_PREFIX}{name.upper()} or "
            f"{_PREFIX}{name.upper()}_FILE on it",
        )

    def redact(self, text: str) -> str:
        """The text with every secret handed out so far, and every one of `own`, replaced by `***`."""
        return self._redacted(text, self._near(text))

    def redact_json(self, data: bytes) -> bytes:
        """The same for a JSON document, in keys, texts and numbers. What holds no secret comes back as is.

        Takes a few times the document's length, not what it would take as a value. Raises
        UnencodableError when a key was replaced in a document nested too deeply to be read.
        """
        text = data.decode(errors="replace")
        near = self._near(text)
        if "\\u" in text:
            # Letters and digits may be escaped too, though our own encoder escapes none.
            near = self._near(f"{text}\n{_ESCAPED_CHARACTER.sub(lambda code: chr(int(code[1], 16)), text)}")
        if not near and not _is_cut(text):
            return data
        keys_changed = False

        def replaced(found: re.Match[str]) -> str:
            nonlocal keys_changed
            written = self._redacted_token(found[0], near)
            keys_changed |= written != found[0] and _IS_KEY.match(text, found.end()) is not None
            return written

        redacted = _TEXT_OR_NUMBER.sub(replaced, text).encode()
        return _with_keys_once(redacted) if keys_changed else redacted

    def _near(self, text: str) -> Sequence[EscapedForms]:
        """The spellings that may be in the text, longest first."""
        if not self._forms:
            return ()
        lowered = text.lower()
        return [spelling for spelling in self._forms if spelling.may_be_in(lowered)]

    def _redacted(self, text: str, near: Sequence[EscapedForms]) -> str:
        for spelling in near:
            text = spelling.replaced(text, MASK)
        if not self._forms or not _is_cut(text):
            return text
        *before, last = text.split(CUT)
        return CUT.join([*(self._without_start(piece) for piece in before), last])

    def _redacted_token(self, token: str, near: Sequence[EscapedForms]) -> str:
        """A text or number of a JSON document; a number that holds a secret becomes a text."""
        if token[0] != '"':
            redacted = self._redacted(token, near)
            return token if redacted == token else f'"{redacted}"'
        if "\\" not in token:
            return f'"{self._redacted(token[1:-1], near)}"'
        value = str(decode(token))
        redacted = self._redacted(value, near)
        return token if redacted == value else encode(redacted).decode()

    def _without_start(self, piece: str) -> str:
        """A text that was cut short, less the start of a secret at its end."""
        kept = piece.rstrip("'\"")
        starts = [at for item in self._forms if (at := item.begun_at_end_of(kept)) is not None]
        return f"{kept[: min(starts)]}{MASK}{piece[len(kept) :]}" if starts else piece

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
                SECRET_UNUSABLE.code, f"the file that {_PREFIX}{name}_FILE names cannot be read: {reason}"
            ) from error

    def _remember(self, name: str, value: str) -> None:
        if len(value.strip()) < MIN_CHARS:
            raise HandlerError(
                SECRET_UNUSABLE.code,
                f"secret '{name}' is shorter than {MIN_CHARS} characters, white space around it not counted: "
                "it could not be kept out of results and errors",
            )
        self._keep_out(value)

    def _keep_out(self, value: str) -> None:
        with self._lock:
            if value in self._known:
                return
            known = {spelling.text: spelling for spelling in (*self._forms, *_written(value))}
            self._forms = tuple(sorted(known.values(), key=lambda item: len(item.text), reverse=True))
            self._known.add(value)


def _is_cut(text: str) -> bool:
    return CUT in text and len(text) <= _MAX_CUT_CHARS


def _with_keys_once(data: bytes) -> bytes:
    """Two keys that held secrets may be the same now: the last one stays."""
    try:
        return encode(decode(data))
    except RecursionError as error:
        raise UnencodableError("nested too deeply") from error


def _written(value: str) -> Iterator[EscapedForms]:
    """Everything by which `value` may be known elsewhere."""
    bare = value.strip()
    texts = [bare, *(line for line in bare.splitlines() if len(line) >= _MIN_LINE_CHARS), *_url_parts(bare)]
    for text in texts:
        yield EscapedForms(text, head=MIN_CHARS)
    for text in _base64_forms(bare.encode(errors="surrogatepass")):
        yield EscapedForms(text, head=MIN_CHARS, alike=_URL_SAFE)


def _url_parts(value: str) -> Iterator[str]:
    """What is left of a URL where it is shown without its credentials or its query, and these alone."""
    try:
        parts = urlsplit(value)
    except ValueError:
        return
    if not parts.scheme or not parts.netloc:
        return
    yield public_url(value)
    if parts.password and len(parts.password) >= MIN_CHARS:
        yield parts.password
    asked = f"{parts.path}?{parts.query}" if parts.query else ""
    for part in (asked, parts.path, parts.query, parts.username or ""):
        if len(part) >= _MIN_URL_PART_CHARS:
            yield part


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
