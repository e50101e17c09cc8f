"""One call of the API as a value: what is sent, and what its answer is; and its parts. Sends nothing."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Final, Generic, Literal, Protocol, TypeAlias, TypeVar
from urllib.parse import quote

import msgspec

from flowengine.client.errors import BadAnswerError, Refusal, RefusedError
from flowengine.execution.views.executions import ResultsView, StartedView

Answer = TypeVar("Answer", covariant=True)
Item = TypeVar("Item", covariant=True)
Query: TypeAlias = tuple[tuple[str, str], ...]

JSON: Final = "application/json"
_PROBLEM: Final = "application/problem+json"
_MAX_SHOWN_CHARS: Final = 200


class Page(Protocol[Item]):
    """A page of a list."""

    @property
    def items(self) -> tuple[Item, ...]: ...
    @property
    def next_cursor(self) -> str | None: ...


class Call(msgspec.Struct, Generic[Answer], frozen=True, kw_only=True):
    """A request. `answer` is the struct of its answer, which comes with a status below 300 or in `also`.

    An `answer` of `str` is text in no form that the client reads. With an `idempotency_key` it is done once,
    however often it is sent. `answers_at`: where another status has another answer. `waits_s`: so much longer
    its answer may take.
    """

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    answer: type[Answer]
    query: Query = ()
    body: bytes | None = None
    media_type: str = JSON
    also: tuple[int, ...] = ()
    idempotency_key: str | None = None
    answers_at: Mapping[int, type[Answer]] = {}
    waits_s: float = 0.0

    @property
    def headers(self) -> dict[str, str]:
        """Its own headers."""
        headers = {"Accept": f"{JSON}, {_PROBLEM}"}
        if self.body is not None:
            headers["Content-Type"] = self.media_type
        if self.idempotency_key is not None:
            headers["Idempotency-Key"] = self.idempotency_key
        return headers

    def after(self, cursor: str) -> Call[Answer]:
        """The same, of the page that this cursor leads to."""
        others = tuple(pair for pair in self.query if pair[0] != "cursor")
        return msgspec.structs.replace(self, query=(*others, ("cursor", cursor)))

    def read(self, status: int, media_type: str, body: bytes) -> Answer:
        """The answer. Raises RefusedError, BadAnswerError."""
        if status < 300 or status in self.also:
            return self._answer(body, self.answers_at.get(status, self.answer))
        if media_type.partition(";")[0].strip().lower() == _PROBLEM:
            raise RefusedError(_decoded(Refusal, body, self.path))
        raise BadAnswerError(
            f"{self.method} {self.path} was answered {status} by what is no FlowEngine: "
            f"{body[:_MAX_SHOWN_CHARS].decode('utf-8', 'replace')!r}; is the address right?"
        )

    def _answer(self, body: bytes, kind: type[Answer]) -> Answer:
        if kind is str:
            return _decoded(kind, msgspec.json.encode(body.decode("utf-8", "replace")), self.path)
        return _decoded(kind, body, self.path)


def until_end(started: Call[StartedView], wait_s: int) -> Call[ResultsView | StartedView]:
    """A start whose answer is held until the execution has ended, for `wait_s` seconds at most."""
    return Call(
        method=started.method,
        path=started.path,
        answer=StartedView,
        query=(*started.query, ("wait", str(wait_s))),
        body=started.body,
        media_type=started.media_type,
        idempotency_key=started.idempotency_key,
        answers_at={200: ResultsView},
        waits_s=wait_s,
    )


def new_key() -> str:
    """A key that no other request has."""
    return secrets.token_hex(16)


def path_part(text: str) -> str:
    """One part of a path. Raises ValueError for what no id can be: it would lead to another path."""
    if text in ("", ".", ".."):
        raise ValueError(f"{text!r} is no id")
    return quote(text, safe="")


def paging(limit: int, cursor: str | None) -> Query:
    """What asks for a page."""
    return (("limit", str(limit)), *given_query(cursor=cursor))


def given_query(**values: str | None) -> Query:
    """The parameters that have a value."""
    return tuple((name, value) for name, value in values.items() if value is not None)


_Decoded = TypeVar("_Decoded")


def _decoded(kind: type[_Decoded], body: bytes, path: str) -> _Decoded:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        raise BadAnswerError(
            f"the answer to {path} is not as expected ({error}): the address is that of another service, or "
            "the stack has another version than this client"
        ) from error
