"""What both clients can be asked: each call as a method that answers, or one that is awaited.

A method's parameters are those of its description in `calls.py`. So nothing of a call is told twice.
"""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, Generic, ParamSpec, TypeVar, overload

from flowengine.client import answers, calls, definition_calls, schedule_calls
from flowengine.client.call import Call, Page

Parameters = ParamSpec("Parameters")
Answer = TypeVar("Answer")
Item = TypeVar("Item")


class Answering:
    """A client whose methods return the answer."""

    @abstractmethod
    def send(self, call: Call[Answer]) -> Answer:
        """Send a call and return its answer. Raises RefusedError, UnreachableError, BadAnswerError."""

    def iterate(self, call: Call[Page[Item]]) -> Iterator[Item]:
        """The items of all pages from this one on."""
        while True:
            page = self.send(call)
            yield from page.items
            if page.next_cursor is None:
                return
            call = call.after(page.next_cursor)


class Awaited:
    """A client whose methods are awaited."""

    @abstractmethod
    async def send(self, call: Call[Answer]) -> Answer:
        """Send a call and return its answer. Raises RefusedError, UnreachableError, BadAnswerError."""

    async def iterate(self, call: Call[Page[Item]]) -> AsyncIterator[Item]:
        """The items of all pages from this one on."""
        while True:
            page = await self.send(call)
            for item in page.items:
                yield item
            if page.next_cursor is None:
                return
            call = call.after(page.next_cursor)


class Method(Generic[Parameters, Answer]):
    """A call as a method. Asked of the class it is the description of the call."""

    def __init__(self, describe: Callable[Parameters, Call[Answer]]) -> None:
        self._describe = describe

    @overload
    def __get__(self, client: None, owner: type) -> Callable[Parameters, Call[Answer]]: ...
    @overload
    def __get__(self, client: Answering, owner: type) -> Callable[Parameters, Answer]: ...
    @overload
    def __get__(self, client: Awaited, owner: type) -> Callable[Parameters, Coroutine[Any, Any, Answer]]: ...
    def __get__(self, client: Answering | Awaited | None, owner: type) -> Callable[Parameters, Any]:
        describe = self._describe
        if client is None:
            return describe
        sender = client

        @functools.wraps(describe)
        def method(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Any:
            return sender.send(describe(*args, **kwargs))

        return method


class Iteration(Generic[Parameters, Item]):
    """A list as a method that gives all items, a page after the other."""

    def __init__(self, describe: Callable[Parameters, Call[Page[Item]]]) -> None:
        self._describe = describe

    @overload
    def __get__(self, client: None, owner: type) -> Callable[Parameters, Call[Page[Item]]]: ...
    @overload
    def __get__(self, client: Answering, owner: type) -> Callable[Parameters, Iterator[Item]]: ...
    @overload
    def __get__(self, client: Awaited, owner: type) -> Callable[Parameters, AsyncIterator[Item]]: ...
    def __get__(self, client: Answering | Awaited | None, owner: type) -> Callable[Parameters, Any]:
        describe = self._describe
        if client is None:
            return describe
        sender = client

        @functools.wraps(describe)
        def method(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Any:
            return sender.iterate(describe(*args, **kwargs))

        return method


class Methods:
    """The API's calls. `list`, `runs`, `events`, `logs`, `definitions`, `versions`, `schedules`,
    `schedule_history`, `dead_letters`, `limits`, `waiting`, `audit` give all items from `cursor` on, and ask
    for pages of `limit`; those that end in `_page` give one page."""

    create = Method(calls.create)
    start = Method(calls.start)
    run = Method(calls.run)
    validate = Method(calls.validate)
    trigger = Method(calls.trigger)
    status = Method(calls.status)
    results = Method(calls.results)
    deliveries = Method(calls.deliveries)
    node = Method(calls.node)
    cancel = Method(calls.cancel)
    pause = Method(calls.pause)
    resume = Method(calls.resume)
    delete = Method(calls.delete)
    start_bulk = Method(calls.start_bulk)
    bulk = Method(calls.bulk)
    rerun = Method(calls.rerun)
    preview_rerun = Method(calls.preview_rerun)
    signal = Method(answers.signal)
    decide = Method(answers.decide)
    call_back = Method(answers.call_back)
    waiting = Iteration(answers.waiting_page)
    waiting_page = Method(answers.waiting_page)
    skip = Method(calls.skip)
    complete = Method(calls.complete)
    fail = Method(calls.fail)
    document = Method(calls.document)
    graph = Method(calls.graph)
    apply = Method(definition_calls.apply)
    definitions = Iteration(definition_calls.definitions_page)
    definitions_page = Method(definition_calls.definitions_page)
    definition = Method(definition_calls.definition)
    definition_graph = Method(definition_calls.definition_graph)
    versions = Iteration(definition_calls.versions_page)
    versions_page = Method(definition_calls.versions_page)
    definition_changes = Method(definition_calls.definition_changes)
    delete_definition = Method(definition_calls.delete_definition)
    diff_definitions = Method(definition_calls.diff_definitions)
    start_definition = Method(definition_calls.start_definition)
    run_definition = Method(definition_calls.run_definition)
    schedules = Iteration(schedule_calls.schedules_page)
    schedules_page = Method(schedule_calls.schedules_page)
    schedule_history = Iteration(schedule_calls.schedule_history_page)
    schedule_history_page = Method(schedule_calls.schedule_history_page)
    pause_schedule = Method(schedule_calls.pause_schedule)
    resume_schedule = Method(schedule_calls.resume_schedule)
    trigger_schedule = Method(schedule_calls.trigger_schedule)
    list = Iteration(calls.list_page)
    list_page = Method(calls.list_page)
    runs = Iteration(calls.runs_page)
    runs_page = Method(calls.runs_page)
    events = Iteration(calls.events_page)
    events_page = Method(calls.events_page)
    items = Iteration(calls.items_page)
    items_page = Method(calls.items_page)
    logs = Iteration(calls.logs_page)
    logs_page = Method(calls.logs_page)
    dead_letters = Iteration(calls.dead_letters_page)
    dead_letters_page = Method(calls.dead_letters_page)
    retry_dead_letter = Method(calls.retry_dead_letter)
    delete_dead_letter = Method(calls.delete_dead_letter)
    queues = Method(calls.queues)
    workers = Method(calls.workers)
    limits = Iteration(calls.limits_page)
    limits_page = Method(calls.limits_page)
    stats = Method(calls.stats)
    health = Method(calls.health)
    me = Method(calls.me)
    keys = Method(calls.keys)
    revoke_key = Method(calls.revoke_key)
    audit = Iteration(calls.audit_page)
    audit_page = Method(calls.audit_page)
    settings = Method(calls.settings)
