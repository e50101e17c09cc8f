"""`http_request` and `call_external_service`: one HTTP call, and its answer as data."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Annotated, Any

import msgspec

from flowengine.execution.error_codes import INVALID_RESPONSE, RESPONSE_TOO_LARGE
from flowengine.handlers.http.outgoing_request import (
    Scalar,
    wrong_with_headers,
    wrong_with_method,
    wrong_with_url,
)
from flowengine.handlers.http.request_bodies import FilePart, encoded_body
from flowengine.jsonvalue import JsonValue
from flowengine.plugin.context import Context
from flowengine.plugin.errors import HandlerError
from flowengine.plugin.literal_check import LiteralCheck
from flowengine.plugin.registry import handler
from flowengine.settings.model import HttpSettings
from flowengine.template import is_template


class HttpConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The request."""

    url: Annotated[
        str,
        msgspec.Meta(description="Where to: an http:// or https:// address."),
        LiteralCheck(wrong_with_url),
    ]
    method: Annotated[
        str,
        msgspec.Meta(
            description="GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, or one of FLOWENGINE_HTTP_METHODS."
        ),
        LiteralCheck(wrong_with_method),
    ] = "GET"
    headers: Annotated[
        dict[str, Scalar | None],
        msgspec.Meta(
            description="X-Correlation-ID and Idempotency-Key are added where they are not set here; null "
            "leaves a header out."
        ),
    ] = {}
    body: Annotated[
        Any,
        msgspec.Meta(
            description="Text is sent as it is, anything else as JSON, or as a form if Content-Type says so; "
            "null is no body."
        ),
    ] = None
    files: Annotated[
        dict[str, FilePart | list[FilePart]],
        msgspec.Meta(description="Sent as multipart/form-data, with the fields of `body`."),
    ] = {}
    params: Annotated[
        dict[str, Scalar | list[Scalar | None] | None],
        msgspec.Meta(
            description="Added to the address's query; a list repeats its name, null leaves one out."
        ),
    ] = {}
    accept_status: Annotated[
        list[Annotated[int, msgspec.Meta(ge=100, le=599)]],
        msgspec.Meta(description="Statuses that are answers as well: no error, and no redirect to follow."),
    ] = []
    require_json: Annotated[
        bool, msgspec.Meta(description="Fail if the answer is no JSON, in place of returning its text.")
    ] = False

    @classmethod
    def wrong_with(cls, config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """What cannot be sent, as far as it is known before templates are rendered: field and reason."""
        headers = config.get("headers")
        given = headers if isinstance(headers, Mapping) else {}
        if reason := wrong_with_headers({name: _known_value(value) for name, value in given.items()}):
            yield "headers", reason
            return
        types = [
            str(value)
            for name, value in given.items()
            if name.lower() == "content-type" and value is not None
        ]
        body, files = config.get("body"), config.get("files")
        unknown = (
            isinstance(headers, str)
            or isinstance(files, str)
            or (isinstance(body, str) and is_template(body))
        )
        if unknown or any(is_template(content_type) for content_type in types):
            return
        try:
            encoded_body(body, _known_files(files or {}), types[0] if types else "")
        except HandlerError as error:
            yield "files" if error.message.startswith(("files", "content")) else "body", error.message


class HttpOutput(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer. `data` is the parsed JSON, else the text, else base64; header names are lower-cased.

    `json` is false where `data` was not parsed. `encoding` is `base64` for bytes that are no text, and
    `content_type` says then what they are. `cookies` are the values of Set-Cookie. `warnings` say what was
    replaced or guessed. A field that has nothing to say is left out.
    """

    status_code: int
    headers: dict[str, str]
    data: JsonValue
    json: bool = True
    encoding: str | None = None
    content_type: str | None = None
    cookies: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@handler("http_request", primary="data", output=HttpOutput)
async def http_request(config: HttpConfig, context: Context, settings: HttpSettings) -> HttpOutput:
    """Makes one HTTP request; retries passing errors, timeouts and connection failures by itself."""
    return await _request(config, context, settings)


@handler("call_external_service", primary="data", output=HttpOutput)
async def call_external_service(config: HttpConfig, context: Context, settings: HttpSettings) -> HttpOutput:
    """Calls an external HTTP service; retries passing errors, timeouts and connection failures by itself."""
    return await _request(config, context, settings)


async def _request(config: HttpConfig, context: Context, settings: HttpSettings) -> HttpOutput:
    # Imported at the first call, since processes that only validate workflows need no HTTP client.
    from flowengine.handlers.http.answer import READ_ON_LOOP_BYTES, AnswerTooLargeError, excerpt_of
    from flowengine.handlers.http.outgoing_request import prepare_request
    from flowengine.handlers.http.reading.answer_data import read_data
    from flowengine.handlers.http.retries import call

    request = prepare_request(
        method=config.method,
        url=config.url,
        headers=config.headers,
        params=config.params,
        body=config.body,
        files=config.files,
        more_methods=settings.methods,
    )
    answer = await call(
        request, context, retry_base_s=settings.retry_base_s, accept=frozenset(config.accept_status)
    )
    try:
        read = partial(read_data, answer, settings.max_result_bytes, any_json=config.require_json)
        data = await asyncio.to_thread(read) if len(answer.body) > READ_ON_LOOP_BYTES else read()
    except AnswerTooLargeError as error:
        raise HandlerError(RESPONSE_TOO_LARGE.code, f"{request.label}: {error}") from error
    if config.require_json and not data.is_json:
        shown = f": {excerpt}" if (excerpt := excerpt_of(answer)) else ""
        raise HandlerError(
            INVALID_RESPONSE.code,
            f"{request.label}: answered {answer.status_line}, which is no JSON ({data.not_json}){shown}",
        )
    return HttpOutput(
        status_code=answer.status_code,
        headers=answer.headers,
        data=data.value,
        json=data.is_json,
        encoding=data.encoding,
        content_type=data.content_type,
        cookies=answer.cookies,
        warnings=data.warnings,
    )


def _known_value(value: Any) -> Any:
    """A header's value; of one that is not known yet, an empty text."""
    return "" if isinstance(value, str) and is_template(value) else value


def _known_files(files: Mapping[str, Any]) -> dict[str, FilePart | list[FilePart]]:
    """The files with an empty content in place of one that is not known yet."""
    return {
        name: [_known_file(item) for item in (given if isinstance(given, list) else [given])]
        for name, given in files.items()
    }


def _known_file(given: Any) -> FilePart:
    if isinstance(given, str):
        return FilePart(filename="unknown", content="")
    content = given.get("content")
    unknown = isinstance(content, str) and is_template(content)
    encoding, kind = given.get("encoding", "text"), given.get("content_type")
    return FilePart(
        filename=given["filename"],
        content="" if unknown else content,
        content_type=None if isinstance(kind, str) and is_template(kind) else kind,
        encoding="base64" if encoding == "base64" else "text",
    )
