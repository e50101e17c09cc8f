"""Keys in Redis: what is kept of them, who wins, and what is left when they go."""

from __future__ import annotations

import pytest
import redis
from msgspec.structs import replace
from structlog.testing import capture_logs

from flowengine.access.records import ApiKey
from flowengine.api.access.api_keys import key_of_entry, new_key
from flowengine.bootstrap import build_access
from flowengine.errors import StoreUnavailableError
from flowengine.settings import Settings
from flowengine.store.access.redis_access import RedisAccess
from flowengine.store.keys import API_KEYS
from tests.support.checks.invariants import check_keys
from tests.support.servers.valkey import free_port


def made(key_id: str, **fields: int) -> tuple[str, ApiKey]:
    """A key, and what is to be kept of it."""
    secret, entry = new_key(key_id, "run")
    return secret, replace(key_of_entry(entry), **{"kept_in": "redis", "created_at": 5, **fields})


def test_key_is_kept_by_its_digest_alone(access: RedisAccess, redis_client: redis.Redis) -> None:
    """What is read is what was kept; nothing that is stored holds the key."""
    secret, key = made("ci", expires_at=9_000_000_000_000)
    assert access.add_key(key)
    found = access.keys({})
    assert (found.keys, found.any_made) == ((key,), True)
    assert abs(found.now - access.now()) < 60_000
    stored = repr(redis_client.hgetall(API_KEYS))
    assert key.digest in stored
    assert secret not in stored
    assert secret.removeprefix("fe_") not in stored
    check_keys(redis_client)


def test_key_of_a_name_that_is_taken_is_not_made(access: RedisAccess) -> None:
    """The first one stays valid, and the second never is."""
    _, first = made("ci")
    assert access.add_key(first)
    assert not access.add_key(made("ci")[1])
    assert access.add_key(first), "the same once more, after an answer that got lost"
    assert access.keys({}).keys == (first,)


@pytest.mark.proves("last-key-revoked")
def test_revoked_key_is_gone_and_leaves_the_api_closed(access: RedisAccess) -> None:
    """Its name is free again, and that there was a key is known for ever."""
    assert not access.keys({}).any_made
    _, key = made("ci")
    access.add_key(key)
    assert access.revoke("ci")
    assert not access.revoke("ci")
    found = access.keys({})
    assert (found.keys, found.any_made) == ((), True)
    assert access.add_key(made("ci")[1])


def test_use_of_a_key_is_noted(access: RedisAccess, redis_client: redis.Redis) -> None:
    """By id; what is noted of a key that is gone is forgotten, and closes nothing."""
    _, key = made("ci")
    access.keys({"gone": 7})
    assert not access.keys({}).any_made
    assert not redis_client.exists(API_KEYS)
    access.add_key(key)
    access.keys({"ci": 77, "gone": 7})
    assert access.keys({}).keys == (replace(key, used_at=77),)
    assert not redis_client.hexists(API_KEYS, "used:gone")
    access.revoke("ci")
    access.add_key(key)
    assert access.keys({}).keys == (key,)


def test_key_that_cannot_be_read_opens_nothing(access: RedisAccess, redis_client: redis.Redis) -> None:
    """Of a role of a later version, for example: it is told once, and the others are valid."""
    _, key = made("ci")
    access.add_key(key)
    redis_client.hset(API_KEYS, "key:odd", '{"digest":"0","role":"emperor","created_at":1}')
    redis_client.hset(API_KEYS, "key:none", "{")
    with capture_logs() as logged:
        assert access.keys({}).keys == access.keys({}).keys == (key,)
    assert sorted(line["key"] for line in logged) == ["none", "odd"]


@pytest.mark.proves("keys-not-known")
def test_hash_that_is_none_tells_of_no_key(access: RedisAccess, redis_client: redis.Redis) -> None:
    """Somebody has overwritten it: the API must not take that for "no keys"."""
    redis_client.set(API_KEYS, "x")
    with pytest.raises(StoreUnavailableError, match=API_KEYS):
        access.keys({})


def test_server_that_is_away_tells_of_no_key() -> None:
    """Nor does it tell that there are none."""
    with pytest.raises(StoreUnavailableError):
        build_access(Settings(redis_url=f"redis://127.0.0.1:{free_port()}")).keys({})


def test_keys_cost_one_round_trip(access: RedisAccess, redis_client: redis.Redis) -> None:
    """The time, the hash, and what is noted go together."""
    access.add_key(made("ci")[1])
    redis_client.config_resetstat()
    access.keys({"ci": 5})
    stats = redis_client.info("commandstats")
    calls = {name.removeprefix("cmdstat_"): figures["calls"] for name, figures in stats.items()}
    assert {name: calls.get(name) for name in ("time", "hgetall", "hset", "multi", "hdel")} == {
        "time": 1,
        "hgetall": 1,
        "hset": 1,
        "multi": None,
        "hdel": None,
    }
