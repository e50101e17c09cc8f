"""Keys that are kept elsewhere than in the settings: read now and then, and never trusted for long."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest
from structlog.testing import capture_logs

from flowengine.access.records import ApiKey
from flowengine.access.roles import Role
from flowengine.api.access.api_keys import digest_of, key_of_entry, new_key
from flowengine.api.access.current_keys import (
    AGAIN_AFTER_S,
    OLDEST_S,
    REFRESHED_AFTER_S,
    USE_NOTED_EACH_MS,
    CurrentKeys,
)
from flowengine.api.edge.blocking_calls import BlockingCalls
from flowengine.errors import StoreUnavailableError
from flowengine.settings import Settings
from tests.e2e.answers import assert_problem
from tests.support.fake_access import FakeAccess
from tests.support.servers.served_api import served_api

AWAY = StoreUnavailableError("Redis does not answer")


def stored(key_id: str, role: Role = "admin", expires_at: int | None = None) -> tuple[str, ApiKey]:
    """A key and what is kept of it."""
    secret, _ = new_key(key_id)
    return secret, ApiKey(
        id=key_id,
        digest=digest_of(secret),
        role=role,
        kept_in="redis",
        created_at=1,
        expires_at=expires_at,
    )


class Rig:
    """Keys of one process, whose clock stands still until it is moved."""

    def __init__(self, *entries: str) -> None:
        self.access = FakeAccess()
        self.clock = 1000.0
        self._calls = BlockingCalls(store_timeout_s=5)
        self.keys = CurrentKeys(
            map(key_of_entry, entries), self.access.keys, self._calls, clock=lambda: self.clock
        )

    def pass_time(self, seconds: float) -> None:
        """Here and in Redis."""
        self.clock += seconds
        self.access.now += int(seconds * 1000)

    async def settle(self) -> None:
        """Return once no read is under way."""
        while self.keys._reading is not None and not self.keys._reading.done():
            await asyncio.sleep(0)

    def close(self) -> None:
        self._calls.close()


@contextmanager
def rig(*entries: str) -> Iterator[Rig]:
    made = Rig(*entries)
    yield made
    made.close()


def run(work: Callable[[], Awaitable[None]]) -> None:
    """Run this on an event loop."""

    async def whole() -> None:
        await work()

    asyncio.run(whole())


def test_keys_are_not_read_for_each_request() -> None:
    """A thousand requests within a moment cost one read."""
    with rig() as made:
        _, key = stored("a")
        made.access.add(key)

        async def work() -> None:
            await made.keys.find(key.digest)
            await made.settle()
            before = made.access.reads
            for _ in range(1000):
                assert await made.keys.asks()
                assert await made.keys.find(key.digest) == key
            assert made.access.reads == before <= 2

        run(work)


def test_keys_in_use_are_read_again_in_the_background() -> None:
    """Who asks with a key that was read some seconds ago does not wait."""
    with rig() as made:
        _, key = stored("a")
        made.access.add(key)

        async def work() -> None:
            await made.keys.find(key.digest)
            await made.settle()
            del made.access.stored["a"]
            made.pass_time(REFRESHED_AFTER_S + 0.1)
            assert await made.keys.find(key.digest) is not None
            await made.settle()
            assert await made.keys.find(key.digest) is None

        run(work)


@pytest.mark.proves("key-revoked")
def test_revoked_key_is_not_used_for_longer_than_it_may() -> None:
    """Nobody has asked for a while: what was read then is not believed."""
    with rig() as made:
        _, key = stored("a")
        made.access.add(key)

        async def work() -> None:
            assert await made.keys.find(key.digest) == key
            await made.settle()
            del made.access.stored["a"]
            made.pass_time(OLDEST_S + 0.1)
            assert await made.keys.find(key.digest) is None

        run(work)


@pytest.mark.proves("key-expired")
def test_expired_key_opens_nothing_from_that_moment_on() -> None:
    """By Redis's clock, carried on here, and without another read."""
    with rig() as made:
        _, key = stored("a", expires_at=made.access.now + 1000)
        made.access.add(key)

        async def work() -> None:
            assert await made.keys.find(key.digest) == key
            await made.settle()
            before = made.access.reads
            made.pass_time(1.0)
            assert await made.keys.find(key.digest) is None
            assert made.access.reads == before

        run(work)


def test_new_key_is_known_at_once() -> None:
    """An unknown one is looked for again, however fresh the others are."""
    with rig() as made:
        _, first = stored("a")
        made.access.add(first)

        async def work() -> None:
            await made.keys.find(first.digest)
            await made.settle()
            _, second = stored("b")
            made.access.add(second)
            looking = asyncio.ensure_future(made.keys.find(second.digest))
            made.pass_time(AGAIN_AFTER_S)
            assert await looking == second

        run(work)


def test_many_unknown_keys_share_their_reads() -> None:
    """Who tries keys makes Redis work no more often than four times a second."""
    with rig() as made:
        _, key = stored("a")
        made.access.add(key)

        async def work() -> None:
            await made.keys.find(key.digest)
            await made.settle()
            before = made.access.reads
            looking = [asyncio.ensure_future(made.keys.find(f"{number}")) for number in range(500)]
            made.pass_time(AGAIN_AFTER_S)
            assert await asyncio.gather(*looking) == [None] * 500
            assert made.access.reads <= before + 2

        run(work)


@pytest.mark.proves("keys-not-known")
def test_without_redis_nobody_is_let_in_by_what_was_known_long_ago() -> None:
    """For some seconds the keys that were read are used; those of the settings always are."""
    fixed, entry = new_key("fixed")
    with rig(entry) as made:
        _, key = stored("a")
        made.access.add(key)

        async def work() -> None:
            assert await made.keys.find(key.digest) == key
            await made.settle()
            made.access.broken = AWAY
            made.pass_time(OLDEST_S - 0.1)
            assert await made.keys.find(key.digest) == key
            await made.settle()
            made.pass_time(0.2)
            with pytest.raises(StoreUnavailableError):
                await made.keys.find(key.digest)
            assert await made.keys.find(digest_of(fixed)) is not None
            assert await made.keys.asks()

        run(work)


@pytest.mark.proves("keys-not-known")
def test_without_redis_nobody_knows_whether_the_api_is_open() -> None:
    """An API that has never read its keys lets nobody in; one that knows it was open a moment ago does."""
    with rig() as made:

        async def work() -> None:
            made.access.broken = AWAY
            with pytest.raises(StoreUnavailableError):
                await made.keys.asks()
            made.access.broken = None
            assert not await made.keys.asks()
            await made.settle()
            made.access.broken = AWAY
            made.pass_time(OLDEST_S - 0.1)
            assert not await made.keys.asks()
            await made.settle()
            made.pass_time(0.2)
            with pytest.raises(StoreUnavailableError):
                await made.keys.asks()

        run(work)


@pytest.mark.proves("last-key-revoked")
def test_api_that_has_asked_for_keys_goes_on_asking() -> None:
    """Redis has lost its data: what kept strangers out must not let them in."""
    with rig() as made:
        _, key = stored("a")
        made.access.add(key)

        async def work() -> None:
            assert await made.keys.asks()
            made.access.stored.clear()
            made.access.any_made = False
            made.pass_time(OLDEST_S + 0.1)
            assert await made.keys.find(key.digest) is None
            assert await made.keys.asks()

        run(work)


def test_read_that_began_before_a_change_is_not_believed() -> None:
    """After `forget` nothing is used that may have been read before."""
    with rig() as made:
        _, key = stored("a")
        made.access.add(key)

        async def work() -> None:
            made.pass_time(1)
            reading = asyncio.ensure_future(made.keys.find(key.digest))
            await asyncio.sleep(0)
            made.pass_time(1)
            made.keys.forget()
            del made.access.stored["a"]
            await reading
            await made.settle()
            assert await made.keys.find(key.digest) is None

        run(work)


def test_use_of_a_key_is_noted_once_a_minute() -> None:
    """By the next read; who uses it often costs no more."""
    with rig() as made:
        _, key = stored("a")
        made.access.add(key)

        async def work() -> None:
            await made.keys.find(key.digest)
            await made.settle()
            first = made.access.used["a"]
            made.pass_time(REFRESHED_AFTER_S + 1)
            await made.keys.find(key.digest)
            await made.settle()
            assert made.access.used["a"] == first
            made.pass_time(USE_NOTED_EACH_MS / 1000)
            await made.keys.find(key.digest)
            await made.settle()
            assert made.access.used["a"] > first

        run(work)


def test_defect_of_a_read_in_the_background_is_logged() -> None:
    """What nobody waits for is not lost."""
    with rig() as made, capture_logs() as logged:

        async def work() -> None:
            made.access.broken = ValueError("a defect")
            assert not made.keys.asks_now
            await made.settle()
            await asyncio.sleep(0)

        run(work)
        assert [line["log_level"] for line in logged] == ["error"]


def test_api_asks_for_keys_once_one_is_made() -> None:
    """Over HTTP: closed to all but its holder, as far as its role goes; any host name is answered."""
    secret, key = stored("ci", "read")
    headers = {"Authorization": f"Bearer {secret}"}
    with served_api() as api:
        api.access.add(key)
        assert_problem(api.client.get("/workflows/x1"), 401, "unauthorized")
        assert api.client.get("/workflows/x1", headers=headers).status_code == 404
        assert_problem(api.client.post("/workflow", headers=headers), 403, "role_missing")
        assert api.client.get("/openapi.json").json()["security"] == [{"key": []}]
        assert api.client.get("/health", headers={"Host": "flows.example"}).status_code == 200
    with served_api() as open_api:
        assert open_api.client.get("/workflows/x1", headers=headers).status_code == 404
        assert open_api.client.get("/openapi.json").json()["security"] == []


@pytest.mark.proves("keys-not-known")
def test_request_is_refused_while_nobody_knows_the_keys() -> None:
    """503 with Retry-After: neither let in nor told that its key is wrong. /health is answered."""
    with served_api() as api:
        api.access.broken = AWAY
        answer = api.client.get("/workflows/x1", headers={"Authorization": "Bearer x"})
        assert_problem(answer, 503, "store_unavailable")
        assert "retry-after" in answer.headers
        assert api.client.get("/health").status_code == 200
        assert api.client.get("/docs").status_code == 200


@pytest.mark.proves("last-key-revoked")
def test_api_beyond_loopback_asks_for_keys_even_where_there_are_none() -> None:
    """It started because of keys in Redis, or because Redis did not answer."""
    with served_api(Settings(api_host="192.0.2.1")) as api:
        assert_problem(api.client.get("/workflows/x1"), 401, "unauthorized")
