"""Secrets for `{{ secrets.NAME }}`: read in the worker only, and taken out of everything that leaves it.

Every secret that the process is given, and its own credentials, are replaced by `***` in texts and results,
whether or not this process has handed them out: another may have. They are replaced as they are, in either
case, inside base64, and in every form that `escaped_forms` knows. Of a secret that is a URL, the parts that
are shown elsewhere are replaced too. In a text that was cut short (`...`), the start of a secret before the
cut is replaced too.

A value shorter than 4 characters is not handed out: replacing it would garble every result, and keeping it
would show it. Other encodings, encryptions and parts of a value are not recognised.
"""

from __future__ import annotations

import base64
import contextlib
import re
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Final
from urllib.parse import urlsplit

import structlog

from flowengine.execution.error_codes import SECRET_UNUSABLE
from flowengine.handlers.http.outgoing_request import public_url
from flowengine.handlers.secrets.escaped_forms import EscapedForms
from flowengine.handlers.secrets.secret_variables import SecretVariables
from flowengine.handlers.secrets.shown_text import CUT, MASK
from flowengine.jsonvalue import UnencodableError, decode, encode
from flowengine.plugin.errors import HandlerError

MIN_CHARS: Final = 4

LINGERING: Final = 16
"""So many nodes' secret inputs stay hidden after their end: a handler that has run out of time may print."""

_MAX_CUT_CHARS: Final = 8192

log = structlog.stdlib.get_logger()

_MIN_BASE64_CHARS: Final = 6
_MIN_LINE_CHARS: Final = 16
_MIN_URL_PART_CHARS: Final = 8
_URL_SAFE: Final = {"+": "-", "/": "_"}
_TEXT_OR_NUMBER: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|-?[0-9][0-9.eE+-]*+')
_NEITHER_TEXT_NOR_NUMBER: Final = frozenset((b"null", b"true", b"false"))
"""Whole documents in which no secret can be."""

_IS_KEY: Final = re.compile(r"\s*:")
_ESCAPED_CHARACTER: Final = re.compile(r"\\u([0-9a-fA-F]{4})")


_HIDING_NOTHING: Final = contextlib.nullcontext()


class Secrets:
    """The secrets of one process. Safe to use from several threads."""

    def __init__(self, environ: Mapping[str, str], *, own: Iterable[str] = ()) -> None:
        """`own`: credentials that no template can name, but that a service may repeat in its answer. One
        shorter than 4 characters is not replaced."""
        self._variables = SecretVariables(environ)
        self._lock = threading.Lock()
        self._known: set[str] = set()
        self._forms: tuple[EscapedForms, ...] = ()
        """Of all that is hidden, the longest first."""
        self._lasting: tuple[EscapedForms, ...] = ()
        """Those of the secrets of this process."""
        self._passing: list[str] = []
        self._passed: deque[tuple[str, ...]] = deque(maxlen=LINGERING)
        self._hidden: frozenset[str] = frozenset()
        self._keep_out(*own, *self._variables.texts(), *self._variables.changed_files())

    def lookup(self, name: str) -> str:
        """The value of FLOWENGINE_SECRET_<name>, or of the file that FLOWENGINE_SECRET_<name>_FILE names.

        The name is tried as written, then in capitals. Files are read each time, so that a secret can be
        changed while the worker runs; white space at the end of a file does not count.
        Raises HandlerError: `secret_missing`, `secret_unusable`.
        """
        found, value = self._variables.read(name)
        if len(value.strip()) < MIN_CHARS:
            raise HandlerError(
                SECRET_UNUSABLE.code,
                f"secret '{found}' is shorter than {MIN_CHARS} characters, white space around it not "
                "counted: it could not be kept out of results and errors",
            )
        self._keep_out(value)
        return value

    def hiding(self, values: Sequence[str]) -> AbstractContextManager[None]:
        """While the block runs, and for the next LINGERING such blocks, these texts are replaced too.

        They are secrets of one execution, of which there may be any number: they cannot all be kept.
        """
        return self._hiding(values) if values else _HIDING_NOTHING

    @contextlib.contextmanager
    def _hiding(self, values: Sequence[str]) -> Iterator[None]:
        with self._lock:
            self._passing.extend(values)
            self._keep_out_passing()
        try:
            yield
        finally:
            with self._lock:
                for value in values:
                    self._passing.remove(value)
                self._passed.append(tuple(values))
                self._keep_out_passing()

    def _keep_out_passing(self) -> None:
        texts = {*self._passing, *(value for values in self._passed for value in values)} - self._known
        if texts != self._hidden:
            self._hidden = frozenset(texts)
            self._forms = _with_forms(self._lasting, texts)

    def passing(self) -> tuple[str, ...]:
        """The texts that `hiding` hides now, for a process that works for this one."""
        with self._lock:
            return tuple(dict.fromkeys(self._passing))

    def warn_of_unusable(self) -> None:
        """Log the secrets that no node will get, by name, so that someone notices before a node does."""
        for name in self._variables.names():
            try:
                self.lookup(name)
            except HandlerError as error:
                log.warning("secrets.unusable", secret=name, reason=error.message)

    def redact(self, text: str) -> str:
        """The text with every secret, and every one of `own`, replaced by `***`."""
        self._learn_changed_files()
        return self._redacted(text, _likely(self._near(text), text))

    def redact_json(self, data: bytes) -> bytes:
        """The same for a JSON document, in keys, texts and numbers; without a secret in it, the same bytes.

        Takes memory for a few copies of the document, not for its value. Raises UnencodableError if a key
        was replaced in a document that is nested too deeply to be read.
        """
        if data in _NEITHER_TEXT_NOR_NUMBER:
            return data
        self._learn_changed_files()
        text = data.decode(errors="replace")
        near = self._near(text)
        if "\\u" in text:
            # Our own encoder escapes no letters and digits, but a handler's may.
            near = self._near(f"{text}\n{_ESCAPED_CHARACTER.sub(lambda code: chr(int(code[1], 16)), text)}")
        likely = _likely(near, _with_values(text)) if near else ()
        if not likely and not _is_cut(text) and not (near and CUT in text):
            return data
        keys_changed = False

        def replaced(found: re.Match[str]) -> str:
            nonlocal keys_changed
            written = self._redacted_token(found[0], likely)
            keys_changed |= written != found[0] and _IS_KEY.match(text, found.end()) is not None
            return written

        redacted = _TEXT_OR_NUMBER.sub(replaced, text).encode()
        return _with_keys_once(redacted) if keys_changed else redacted

    def _near(self, text: str) -> Sequence[EscapedForms]:
        """The forms that may be in the text, longest first."""
        if not self._forms:
            return ()
        lowered = text.lower()
        return [form for form in self._forms if form.may_be_in(lowered)]

    def _redacted(self, text: str, near: Sequence[EscapedForms]) -> str:
        lowered = text.lower()
        for form in near:
            if form.may_be_in(lowered):
                text = form.replaced(text, MASK)
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
        """A text that was cut short, with the start of a secret at its end replaced."""
        kept = piece.rstrip("'\"")
        starts = [at for item in self._forms if (at := item.begun_at_end_of(kept)) is not None]
        return f"{kept[: min(starts)]}{MASK}{piece[len(kept) :]}" if starts else piece

    def _learn_changed_files(self) -> None:
        """Another process may have handed out what a file says since it was changed."""
        for value in self._variables.changed_files():
            self._keep_out(value)

    def _keep_out(self, *values: str) -> None:
        with self._lock:
            new = {value for value in values if len(value.strip()) >= MIN_CHARS} - self._known
            if not new:
                return
            self._known |= new
            self._lasting = _with_forms(self._lasting, new)
            self._forms = _with_forms(self._lasting, self._hidden)


def _with_forms(forms: Iterable[EscapedForms], values: Iterable[str]) -> tuple[EscapedForms, ...]:
    """The forms, and those of more values; the longest first."""
    known = {form.text: form for form in forms}
    known.update((form.text, form) for value in values for form in _forms_of(value))
    return tuple(sorted(known.values(), key=lambda item: len(item.text), reverse=True))


def _likely(near: Sequence[EscapedForms], text: str) -> Sequence[EscapedForms]:
    """Those of the forms for whose search the whole text is worth it."""
    lowered = text.lower() if near else ""
    return [form for form in near if form.is_likely_in(text, lowered)]


def _with_values(text: str) -> str:
    """A JSON document, and behind it the values of those of its texts that are written with escapes."""
    if "\\" not in text:
        return text
    escaped = (token for token in _TEXT_OR_NUMBER.findall(text) if "\\" in token)
    return "\n".join([text, *(str(decode(token)) for token in escaped)])


def _is_cut(text: str) -> bool:
    return CUT in text and len(text) <= _MAX_CUT_CHARS


def _with_keys_once(data: bytes) -> bytes:
    """The document with each key once; redaction may have made two alike. The last one stays."""
    try:
        return encode(decode(data))
    except RecursionError as error:
        raise UnencodableError("nested too deeply") from error


def _forms_of(value: str) -> Iterator[EscapedForms]:
    """Everything that shows `value` elsewhere: itself, its long lines, parts of a URL, its base64."""
    bare = value.strip()
    texts = [bare, *(line for line in bare.splitlines() if len(line) >= _MIN_LINE_CHARS), *_url_parts(bare)]
    for text in texts:
        yield EscapedForms(text, head=MIN_CHARS)
    for text in _base64_forms(bare.encode(errors="surrogatepass")):
        yield EscapedForms(text, head=MIN_CHARS, alike=_URL_SAFE)


def _url_parts(value: str) -> Iterator[str]:
    """A URL without its credentials and query, as it is shown elsewhere, and each of these alone."""
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
        # The outer characters also hold bits of the neighbours, so they differ from case to case.
        first = (before * 8 + 5) // 6
        last = (before + len(data)) * 8 // 6
        core = encoded[first:last]
        if len(core) >= _MIN_BASE64_CHARS:
            yield core
