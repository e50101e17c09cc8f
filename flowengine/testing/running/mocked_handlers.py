"""Stands where a worker calls handlers: mocks answer for what would call out, all else runs as it is.

Nothing here opens a connection. What would, and has no mock, is noted and fails.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Final, NoReturn

import httpx
import msgspec
from msgspec import UNSET

from flowengine.engine.ports import Invoker
from flowengine.engine.running.awaited_signals import policy_of
from flowengine.engine.running.node_context import Environment
from flowengine.execution.error_codes import HTTP_CLIENT_ERROR, HTTP_SERVER_ERROR, NOT_MOCKED
from flowengine.execution.messages import RunNode
from flowengine.handlers.invoking.invoker import typed_config
from flowengine.handlers.secrets.shown_text import MASK
from flowengine.jsonvalue import JsonValue, decode, encode
from flowengine.plugin import Context, Handler, HandlerError, Wait
from flowengine.plugin.waiting import WaitAsSaid
from flowengine.testing.running.addresses import Address, Addresses
from flowengine.testing.running.mocks import Mock, MockedError, OutOfAnswersError, Reply, reply_of
from flowengine.workflow.children.group import GROUP

COMPUTING: Final = frozenset(
    {"aggregate", "approval", "assert", "compute", "end", "set", "signal", "transform", "wait"}
)
"""The built-in handlers that reach nothing outside of their process."""

ANSWERS_TO: Final[Mapping[str, str]] = MappingProxyType(
    {"approval": "approved", "signal": "payload", "wait": "result"}
)
"""The field of a mock that answers, by what a node waits for. A `wait` ends by itself."""

_HTTP: Final = re.compile(r"http_([1-5]\d\d)")


class CallMade(msgspec.Struct, frozen=True, kw_only=True):
    """One call of a node's handler, or of what stood for it. `number`: of this node's calls, from 1 on."""

    node: str
    item: str | None
    number: int
    attempt: int
    config: JsonValue


class Unmocked(msgspec.Struct, frozen=True):
    """What would have called out."""

    node: str
    item: str | None
    why: str
    config: JsonValue


class Question(msgspec.Struct, frozen=True):
    """A node waits for a decision, a signal or a callback, and its mock has one. `at`: when it begins to
    wait. `token`: that of its callback URL. `signal`: the name of the signal, where its handler says it."""

    execution: str
    node: str
    kind: str
    reply: Reply
    at: int
    token: str = ""
    signal: str = ""


class MockedHandlers:
    """Implements `flowengine.engine.ports.Invoker`. `current`: the task whose handler is called.

    `own`: runs the handlers that need no mock. `real`: the addresses of nodes whose handlers run as they are.
    `primaries`: what `X.result` means, by a node's address.
    """

    current: RunNode

    def __init__(
        self,
        own: Invoker,
        addresses: Addresses,
        mocks: Mapping[str, Mock | Sequence[Reply]],
        real: Collection[str],
        primaries: Mapping[str, str | None],
        now: Callable[[], int],
    ) -> None:
        self._own = own
        self._now = now
        self._addresses = addresses
        self._mocks = mocks
        self._real = frozenset(real)
        self._primaries = primaries
        self._counts: Counter[Address] = Counter()
        self.calls: list[CallMade] = []
        self.unmocked: list[Unmocked] = []
        self.questions: list[Question] = []

    def invoke(self, handler: Handler, config: JsonValue, context: Context) -> object:
        """What the handler returns, or its mock. Raises HandlerError."""
        if handler.name == GROUP:
            return handler.function(None, context)
        address = self._addresses.of_task(self.current)
        number = self._counts[address]
        self._counts[address] += 1
        made = CallMade(
            node=address.node,
            item=address.item,
            number=number + 1,
            attempt=context.attempt,
            config=_shown(config, context.callback_url),
        )
        self.calls.append(made)
        try:
            reply = reply_of(self._mocks.get(address.node), address.item, number)
        except OutOfAnswersError as error:
            self._refuse(made, str(error))
        if reply is not None and reply.callback is not UNSET and context.callback_url is not None:
            self._ask("callback", reply, context.callback_url)
        if reply is not None and reply.kinds and reply.kinds[0] in ("output", "result", "error"):
            typed_config(handler, config)
            waits = context.callback_url is not None
            return _given(reply, handler.primary if waits else self._primaries.get(address.node))
        is_real = handler.name in COMPUTING or address.node in self._real
        if not is_real and handler.signals is not None and reply is not None and reply.kinds:
            typed_config(handler, config)
            several = reply.signal is not UNSET
            wait = Wait() if several else Wait((handler.signals or (self.current.node,))[0])
            return self._answered(wait, handler, reply, made)
        if not is_real:
            self._refuse(made, f"handler '{handler.name}' would run, and it has no mock")
        output = self._own.invoke(handler, config, context)
        if isinstance(output, Wait | WaitAsSaid) and reply is not None:
            return self._answered(output, handler, reply, made)
        return output

    def _answered(
        self, output: Wait | WaitAsSaid, handler: Handler, reply: Reply, made: CallMade
    ) -> Wait | WaitAsSaid:
        """What a node waits for, for which its mock has an answer."""
        kind = output.kind if isinstance(output, WaitAsSaid) else "signal"
        wanted = ANSWERS_TO[kind]
        if reply.kinds != (wanted,):
            self._refuse(made, f"it waits for what a mock says with `{wanted}`")
        name = ""
        if isinstance(output, Wait):
            name = policy_of(self.current.node, handler, output).names[0]
        self._ask(kind, reply, signal=name)
        return output

    def _ask(self, kind: str, reply: Reply, url: str = "", signal: str = "") -> None:
        task, token = self.current, url.rpartition("/")[2]
        self.questions.append(Question(task.execution, task.node, kind, reply, self._now(), token, signal))

    def environment(self, settings: Mapping[str, str]) -> Environment:
        """What handlers that run as they are get from the process: settings, and no network."""

        def http() -> httpx.Client:
            self._refuse_network()

        def async_http() -> httpx.AsyncClient:
            self._refuse_network()

        return Environment(http=http, async_http=async_http, setting=settings.get)

    def _refuse_network(self) -> NoReturn:
        self._refuse(self.calls[-1], "its handler asks for an HTTP client")

    def _refuse(self, call: CallMade, why: str) -> NoReturn:
        self.unmocked.append(Unmocked(call.node, call.item, why, call.config))
        raise HandlerError(NOT_MOCKED.code, f"{why}: a test reaches no network", permanent=True)


def _shown(config: JsonValue, callback_url: str | None) -> JsonValue:
    """A config as it is told of: without the URL that is the right to answer."""
    if callback_url is None:
        return config
    return decode(encode(config).replace(callback_url.encode(), MASK.encode()))


def _given(reply: Reply, primary: str | None) -> object:
    if reply.error is not UNSET:
        raise failure_of(reply.error)
    return reply.output if reply.result is UNSET else {primary or "result": reply.result}


def failure_of(error: MockedError) -> HandlerError:
    """What the handler would have raised. `http_503` is what the HTTP handlers make of that status."""
    code, status, message = error.code, error.status_code, error.message
    found = _HTTP.fullmatch(code)
    if found is not None:
        status = int(found[1])
        code = (HTTP_SERVER_ERROR if status >= HTTPStatus.INTERNAL_SERVER_ERROR else HTTP_CLIENT_ERROR).code
    return HandlerError(
        code,
        message or f"{error.code}, as its mock says",
        status_code=status,
        permanent=error.permanent,
        retry_after_s=error.retry_after_s,
    )
