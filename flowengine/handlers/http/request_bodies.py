"""What a request sends: text, JSON, a form, or a form with files. Pure, and the same bytes each time.

The Content-Type that the node gives decides how an object is written. What that type cannot carry is refused,
here and, as far as it is known, when the workflow is accepted.
"""

from __future__ import annotations

import base64
import binascii
import mimetypes
import re
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Annotated, Any, Final, Literal, TypeAlias
from urllib.parse import quote_plus

import msgspec

from flowengine.execution.error_codes import INVALID_REQUEST
from flowengine.handlers.http.reading.charsets import CHARSET_PARAMETER
from flowengine.handlers.secrets.shown_text import quoted_part
from flowengine.jsonvalue import UnencodableError, encode
from flowengine.plugin.errors import HandlerError

Content: TypeAlias = "tuple[bytes | None, str]"

FORM: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"
_BYTES: Final = "application/octet-stream"
_TEXT: Final = "text/plain; charset=utf-8"
_JSON: Final = "application/json"
_NEVER_JSON: Final = re.compile(
    r"(?!.*\+json\Z)("
    r"(text|application)/xml\Z|.*\+xml\Z|text/(html|csv|css)\Z|(image|audio|video|font)/"
    r"|application/((octet-stream|pdf|zip|gzip|cbor|msgpack|vnd\.msgpack|x-protobuf|protobuf)\Z|vnd\.(ms-|openxml))"
    r"|application/((x-)?(ndjson|jsonl(ines)?|json-lines)|json-seq)\Z)"
)
_MEDIA_TYPE: Final = re.compile(r"[\x21-\x7e][\x20-\x7e]{0,200}\Z")
_QUOTED: Final = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})


class FilePart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of a form."""

    filename: Annotated[str, msgspec.Meta(min_length=1, description="The name that the service sees.")]
    content: Annotated[Any, msgspec.Meta(description="Text is sent as it is, anything else as JSON.")]
    content_type: Annotated[
        str | None, msgspec.Meta(description="Default: what the end of the file's name says.")
    ] = None
    encoding: Annotated[
        Literal["text", "base64"],
        msgspec.Meta(description="`base64`: `content` is base64, and its bytes are sent."),
    ] = "text"


Files: TypeAlias = "Mapping[str, FilePart | Sequence[FilePart]]"


def encoded_body(body: Any, files: Files, content_type: str) -> Content:
    """The bytes to send and their Content-Type; None if there is no body.

    `content_type` is what the node's headers say, or an empty text. Raises HandlerError `invalid_request`.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if files and media_type not in ("", MULTIPART):
        raise _invalid(f"files are sent as {MULTIPART}: leave the header Content-Type out")
    if media_type == MULTIPART and isinstance(body, str) and not files and "boundary=" not in content_type:
        raise _invalid(
            f"a text is sent as {MULTIPART} only if the header names its boundary: give `body` as an object "
            "of fields and `files`, and leave the header Content-Type out"
        )
    if files or (media_type == MULTIPART and not isinstance(body, str)):
        return _multipart(body, files)
    if body is None:
        return None, content_type
    if isinstance(body, str):
        return _text(body, content_type)
    if media_type == FORM:
        return _form(body), content_type
    if _NEVER_JSON.match(media_type):
        raise _invalid(
            f"body is no text, so it cannot be sent as {quoted_part(content_type, 60)}: write it as a text"
        )
    return _json(body), content_type or _JSON


def _text(body: str, content_type: str) -> Content:
    charset = CHARSET_PARAMETER.search(content_type)
    if charset is not None:
        import webencodings

        known = webencodings.lookup(charset[1])
        if known is not None and not known.name.startswith("utf-"):
            try:
                return known.codec_info.encode(body)[0], content_type
            except UnicodeError as error:
                raise _invalid(
                    f"body has characters that the charset {known.name} of its Content-Type lacks"
                ) from error
    try:
        return body.encode(), content_type or _TEXT
    except UnicodeEncodeError as error:
        raise _invalid(f"body is not valid Unicode: {error.reason}") from error


def _json(body: Any) -> bytes:
    try:
        return encode(body)
    except UnencodableError as error:
        raise _invalid(f"body cannot be written as JSON: {error}") from error


def _form(body: Any) -> bytes:
    return "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in _fields(body, FORM)).encode()


def _fields(body: Any, what: str) -> Iterator[tuple[str, str]]:
    """Names and values of a form; a list repeats its name, a null is left out."""
    if not isinstance(body, Mapping):
        raise _invalid(f"body must be an object of fields to be sent as {what}")
    for name, value in body.items():
        for item in value if isinstance(value, list | tuple) else [value]:
            if isinstance(item, Mapping | list | tuple):
                raise _invalid(
                    f"field {quoted_part(name, 60)} of the body is nested, which {what} cannot carry: "
                    "give texts, numbers, or lists of them"
                )
            if item is not None:
                _refuse_surrogates(name, item)
                yield name, scalar_text(item)


def _multipart(body: Any, files: Files) -> Content:
    parts = [
        (f'form-data; name="{name.translate(_QUOTED)}"', "", value.encode())
        for name, value in (() if body is None else _fields(body, MULTIPART))
    ]
    for name, given in files.items():
        for file in (given,) if isinstance(given, FilePart) else given:
            _refuse_surrogates(name, name)
            _refuse_surrogates(name, file.filename)
            disposition = (
                f'form-data; name="{name.translate(_QUOTED)}"; filename="{file.filename.translate(_QUOTED)}"'
            )
            parts.append((disposition, *_file(name, file)))
    # Made of the content, so that a call that is repeated sends the same bytes.
    digest = sha256()
    for disposition, kind, content in parts:
        digest.update(b"\0".join((disposition.encode(), kind.encode(), sha256(content).digest())))
    boundary = f"flowengine-{digest.hexdigest()[:40]}"
    written = bytearray()
    for disposition, kind, content in parts:
        typed = f"Content-Type: {kind}\r\n" if kind else ""
        written += (
            f"--{boundary}\r\nContent-Disposition: {disposition}\r\n{typed}\r\n".encode() + content + b"\r\n"
        )
    written += f"--{boundary}--\r\n".encode()
    return bytes(written), f"{MULTIPART}; boundary={boundary}"


def _file(name: str, file: FilePart) -> tuple[str, bytes]:
    """Content-Type and bytes of a file."""
    shown = f"content of file {quoted_part(name, 60)}"
    if file.content_type is not None and not _MEDIA_TYPE.match(file.content_type):
        raise _invalid(f"content_type of file {quoted_part(name, 60)} is no media type")
    guessed = file.content_type or mimetypes.guess_type(file.filename)[0]
    if file.encoding == "base64":
        if not isinstance(file.content, str):
            raise _invalid(f"{shown} must be a base64 text")
        try:
            return guessed or _BYTES, base64.b64decode("".join(file.content.split()), validate=True)
        except (binascii.Error, ValueError) as error:
            raise _invalid(f"{shown} is no base64") from error
    if isinstance(file.content, str):
        _refuse_surrogates(name, file.content)
        return guessed or _TEXT, file.content.encode()
    return guessed or _JSON, _json(file.content)


def scalar_text(value: object) -> str:
    """A text, number or boolean as forms, queries and headers carry it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _refuse_surrogates(name: object, value: object) -> None:
    try:
        f"{name}{value}".encode()
    except UnicodeEncodeError as error:
        raise _invalid(f"field {quoted_part(str(name), 60)} is not valid Unicode: {error.reason}") from error


def _invalid(message: str) -> HandlerError:
    return HandlerError(INVALID_REQUEST.code, message)
