"""Lists of executions, over fakeredis: order, filters, pages, and what is shown of each."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any, cast

import msgspec
import pytest
from fakeredis import FakeRedis

from flowengine.broker.streams.wire import post
from flowengine.engine import listing
from flowengine.engine.executions import StoredExecutions
from flowengine.engine.ports import Batch
from flowengine.execution.requests.listing import Wanted
from flowengine.execution.status import ExecutionStatus
from flowengine.execution.views.executions import HealthView, ListView, moment
from flowengine.settings import Settings
from flowengine.store import keys
from flowengine.store.api_state import RedisApiState
from flowengine.store.connection.sessions import Session
from flowengine.store.lists import listing as store_listing
from flowengine.store.lists.listing_entries import list_of
from flowengine.store.state import RedisState
from tests.support.rigs.harness import plan_of

NAMES = keys.of()
ALL = Wanted()
BEGIN = int(time.time()) * 1000 - 3_600_000
"""Not long ago: what is made then has not expired."""


@pytest.fixture
def redis() -> FakeRedis:
    return FakeRedis(protocol=2)


@pytest.fixture
def store(redis: FakeRedis) -> StoredExecutions:
    state = RedisState(redis, post, Settings())
    return StoredExecutions(RedisApiState(state), lambda: HealthView(status="ok", checks={}))


class Made:
    """Executions that are made one second after the other, and moved into a status."""

    def __init__(self, redis: FakeRedis, store: StoredExecutions, monkeypatch: pytest.MonkeyPatch) -> None:
        self._redis = redis
        self._store = store
        self._now = BEGIN
        monkeypatch.setattr(RedisApiState, "now", lambda _: self._now)

    def one(self, status: ExecutionStatus = "pending", *, name: str = "test", **given: Any) -> str:
        """The next one."""
        self._now += 1000
        plan = msgspec.structs.replace(plan_of({"a": ()}), name=name)
        given.setdefault("correlation_id", "c")
        execution = self._store.create(plan, **given).execution_id
        self._redis.hset(NAMES.control(execution), "status", status)
        self._redis.zrem(NAMES.listing("pending"), execution)
        self._redis.zadd(NAMES.listing(list_of(status)), {execution: 0})
        return execution


@pytest.fixture
def made(redis: FakeRedis, store: StoredExecutions, monkeypatch: pytest.MonkeyPatch) -> Made:
    return Made(redis, store, monkeypatch)


def ids(page: ListView) -> list[str]:
    """The executions on a page."""
    return [item.execution_id for item in page.items]


def listed(store: StoredExecutions, limit: int = 50, **wanted: Any) -> list[str]:
    """All that are wanted, page by page."""
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = store.list(Wanted(**wanted), limit=limit, cursor=cursor)
        assert len(page.items) <= limit
        found += ids(page)
        cursor = page.next_cursor
    return found


def test_all_executions_are_listed_newest_first(store: StoredExecutions, made: Made) -> None:
    """Whatever their status."""
    statuses: Sequence[ExecutionStatus] = (
        "completed",
        "pending",
        "running",
        "cancelling",
        "failed",
        "cancelled",
    )
    found = [made.one(status) for status in statuses]
    page = store.list(ALL, limit=50)
    assert (ids(page), page.next_cursor) == (found[::-1], None)
    assert [item.status for item in page.items] == list(statuses)[::-1]


def test_pages_follow_one_another_without_gap_or_repeat(store: StoredExecutions, made: Made) -> None:
    """The last one says that it is, also where it is full."""
    found = [made.one() for _ in range(7)][::-1]
    first = store.list(ALL, limit=3)
    assert (ids(first), first.next_cursor) == (found[:3], found[2])
    made.one()
    assert listed(store, limit=3)[1:] == found
    assert ids(store.list(ALL, limit=3, cursor=found[2])) == found[3:6]
    assert store.list(ALL, limit=7, cursor="").next_cursor == found[5]
    assert store.list(ALL, limit=8).next_cursor is None


def test_filters_narrow_the_list_and_all_of_them_hold(store: StoredExecutions, made: Made) -> None:
    """Each by itself, and together with others."""
    a = made.one("failed", name="nightly", labels={"team": "data", "kind": "x"}, correlation_id="one")
    b = made.one("failed", name="nightly report", labels={"team": "data"}, correlation_id="two")
    c = made.one("completed", name="nightly", labels={"team": "web"}, correlation_id="one")
    d = made.one("cancelling", name="other", labels={"team": "data", "kind": "y"})
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({"statuses": ("failed",)}, [b, a]),
        ({"statuses": ("failed", "completed")}, [c, b, a]),
        ({"statuses": ("running",)}, []),
        ({"statuses": ("cancelling",)}, [d]),
        ({"statuses": ("paused",)}, []),
        ({"name": "nightly"}, [c, a]),
        ({"name": "night"}, []),
        ({"labels": (("team", "data"),)}, [d, b, a]),
        ({"labels": (("team", "data"), ("kind", "x"))}, [a]),
        ({"labels": (("team", "dat"),)}, []),
        ({"labels": (("kind", "x"), ("kind", "y"))}, []),
        ({"correlation_id": "one"}, [c, a]),
        ({"prefix": "night"}, [c, b, a]),
        ({"version": 1}, []),
        ({"parent": a}, []),
        ({"prefix": "nightly "}, [b]),
        ({"prefix": "Night"}, []),
        ({"prefix": c[:22]}, [c]),
        ({"prefix": c}, [c]),
        ({"prefix": f"{c}0"}, []),
        ({"created_after": BEGIN + 2000}, [d, c, b]),
        ({"created_before": BEGIN + 2000}, [a]),
        ({"created_before": -1}, []),
        ({"created_after": -1, "created_before": 10**14}, [d, c, b, a]),
        ({"created_after": 10**14}, []),
        ({"created_after": BEGIN + 2000, "created_before": BEGIN + 4000}, [c, b]),
        ({"name": "nightly", "statuses": ("failed",), "labels": (("team", "data"),)}, [a]),
        ({"prefix": "night", "correlation_id": "one", "created_before": BEGIN + 3000}, [a]),
        ({"name": "nightly", "labels": (("team", "none"),)}, []),
    ]
    for wanted, right in cases:
        assert listed(store, **wanted) == right, wanted
        assert listed(store, limit=1, **wanted) == right, wanted


def test_a_name_is_not_taken_for_the_beginning_of_another(store: StoredExecutions, made: Made) -> None:
    """Nor is a label's value; what parts them in the index is in none of them."""
    made.one(name="ab", labels={"a": "bc"})
    wanted = made.one(name="a", labels={"a": "b"})
    assert listed(store, name="a") == listed(store, labels=(("a", "b"),)) == [wanted]


@pytest.mark.proves("expired-listed")
def test_what_has_expired_never_shows(redis: FakeRedis, store: StoredExecutions, made: Made) -> None:
    """Its entries stay until a sweep comes; pages are filled with others."""
    found = [made.one("completed", name="x", labels={"a": "b"}) for _ in range(6)][::-1]
    for gone in (found[0], found[2], found[5]):
        redis.delete(NAMES.control(gone))
    left = [found[1], found[3], found[4]]
    for wanted in (
        {},
        {"name": "x"},
        {"labels": (("a", "b"),)},
        {"prefix": "x"},
        {"statuses": ("completed",)},
    ):
        assert listed(store, **wanted) == listed(store, limit=2, **wanted) == left


@pytest.mark.proves("page-cost")
def test_a_page_looks_at_1000_candidates_at_most(
    store: StoredExecutions, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is short then, or empty, and has a next one, which goes on where it stopped."""
    monkeypatch.setattr(listing, "MOST_LOOKED_AT", 20)
    monkeypatch.setattr(listing, "FIRST_LOOK", 4)
    rare = made.one("running", name="many")
    for _ in range(50):
        made.one("cancelling", name="many")
    wanted = Wanted(name="many", statuses=("running",))
    pages, cursor = [], ""
    while True:
        page = store.list(wanted, limit=10, cursor=cursor)
        pages.append(ids(page))
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
    assert pages == [[], [], [rare]]


@pytest.mark.proves("page-cost")
def test_the_index_with_the_fewest_candidates_is_read(
    store: StoredExecutions, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of many is found at once, by whatever makes it rare."""
    rare = made.one("failed", name="many", labels={"a": "b", "rare": "yes"}, correlation_id="r")
    for _ in range(40):
        made.one("completed", name="many", labels={"a": "b"})
    monkeypatch.setattr(listing, "MOST_LOOKED_AT", 2)
    monkeypatch.setattr(listing, "FIRST_LOOK", 2)
    rarely: list[dict[str, Any]] = [
        {"labels": (("rare", "yes"),)},
        {"correlation_id": "r"},
        {"statuses": ("failed",)},
        {"prefix": rare[:20]},
    ]
    for one in rarely:
        wanted = Wanted(**{"name": "many", "labels": (("a", "b"),), **one})
        assert ids(store.list(wanted, limit=1)) == [rare], one


def test_names_that_too_many_have_are_looked_for_in_the_lists(
    store: StoredExecutions, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To read all of them for each page would cost more with each execution that is kept."""
    monkeypatch.setattr(store_listing, "READ_WHOLE", 3)
    found = [made.one(name=f"night{at}") for at in range(10)][::-1]
    made.one(name="other")
    assert listed(store, prefix="night") == listed(store, limit=2, prefix="night") == found


def test_an_id_made_before_its_execution_is_found_by_the_time_of_that(
    redis: FakeRedis, store: StoredExecutions, made: Made
) -> None:
    """`flowengine run` makes its id first."""
    execution = made.one()
    redis.hset(NAMES.control(execution), "created_at", BEGIN + 30_000)
    assert listed(store, created_after=BEGIN + 29_000) == [execution]
    assert listed(store, created_after=BEGIN + 31_000) == []


def test_a_page_takes_four_round_trips(
    store: StoredExecutions, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is wanted: which index, the candidates, their records, their numbers; one more for errors."""
    for _ in range(10):
        made.one("completed", labels={"a": "b"})
    store.list(ALL, limit=5)
    trips = []
    exchange = Session._exchange

    def counting(self: Session, *args: Any, **named: Any) -> Any:
        trips.append(1)
        return exchange(self, *args, **named)

    monkeypatch.setattr(Session, "_exchange", counting)
    store.list(Wanted(name="test", labels=(("a", "b"),)), limit=5)
    assert len(trips) == 4


def test_a_summary_says_what_an_execution_is_and_not_what_it_holds(
    store: StoredExecutions, made: Made
) -> None:
    """No nodes and no payloads."""
    execution = made.one(name="nightly", labels={"team": "data"}, inputs={"x": "y"}, correlation_id="one")
    (item,) = store.list(ALL, limit=1).items
    assert msgspec.to_builtins(item) == {
        "execution_id": execution,
        "name": "nightly",
        "version": None,
        "status": "pending",
        "trigger": None,
        "waiting_for": None,
        "run": 0,
        "counts": {"total": 1, "unfinished": 1, "failed": 0},
        "error": None,
        "labels": {"team": "data"},
        "correlation_id": "one",
        "created_at": moment(BEGIN + 1000),
        "started_at": None,
        "finished_at": None,
    }


@pytest.mark.parametrize(
    "odd", ["", "~", "x|y", "0", "000", "abc", "ab0", "ab0!", "ab9:", "abA", "f~", "é", "abc" * 30, "0" * 70]
)
def test_cursor_is_one_that_the_api_takes_wherever_a_page_has_ended(
    odd: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry of an index that is no id was given as the cursor, and then refused."""
    real = sorted([f"{begin:0<27}" for begin in ("00f", "ab", "abc", "ab9f", "ab01", "aaf", "f", "ff")])

    class Store:
        def candidates(self, _: Wanted, before: str) -> Any:
            entries = sorted([*real, odd, f"{odd}!", f"{odd}~"], reverse=True)

            def read(last: str, count: int) -> Batch:
                behind = [each for each in entries if not (last or before) or each < (last or before)]
                return Batch(behind[:count], len(behind) <= count)

            return read

        def readable(self, executions: Sequence[str]) -> list[None]:
            met.extend(each for each in executions if each in real)
            return [None] * len(executions)

    monkeypatch.setattr(listing, "MOST_LOOKED_AT", 1)
    met: list[str] = []
    cursor: str | None = ""
    for _ in range(len(real) + 4):
        cursor = listing.page(cast(listing.ListingStore, Store()), ALL, 1, cursor or "").next_cursor
        assert cursor is None or re.fullmatch("[0-9a-f]{8,64}", cursor)
        if cursor is None:
            break
    assert (cursor, met) == (None, real[::-1])
