"""`flowengine key`: keys are made, listed and revoked in Redis; the API knows of it at once or soon."""

from __future__ import annotations

import json
import re

import pytest

from flowengine.api.access.api_keys import digest_of, new_key
from flowengine.store.access.redis_access import RedisAccess
from tests.integration.access.conftest import Run
from tests.support.servers.served_api import served_api
from tests.support.servers.valkey import free_port
from tests.support.waiting import wait_until

DAY_MS = 86_400_000


def test_key_is_made_in_redis(run: Run, access: RedisAccess) -> None:
    """Printed once, kept by its digest, with its role and its end."""
    done = run("key", "new", "ci", "--role", "run", "--expires", "90d")
    assert done.exit_code == 0, done.output
    found = re.fullmatch(r"key:    (fe_\S{43})\n", done.stdout)
    assert found
    (key,) = access.keys({}).keys
    assert (key.id, key.role, key.digest) == ("ci", "run", digest_of(found[1]))
    assert key.created_at is not None
    assert key.expires_at == key.created_at + 90 * DAY_MS
    assert "Its role is run." in done.stderr


@pytest.mark.parametrize(("said", "lifetime"), [("30m", 1_800_000), ("12h", 43_200_000), ("1d", DAY_MS)])
def test_key_is_valid_for_minutes_hours_or_days(
    run: Run, access: RedisAccess, said: str, lifetime: int
) -> None:
    """As it is said."""
    assert run("key", "new", "ci", "--expires", said).exit_code == 0
    (key,) = access.keys({}).keys
    assert key.expires_at == (key.created_at or 0) + lifetime


@pytest.mark.parametrize("said", ["90", "0d", "-1d", "1w", "3651d", "1.5h", "d", "٣d", "9999999999d", ""])
def test_other_lifetimes_are_refused(run: Run, access: RedisAccess, said: str) -> None:
    """With what may be said; no key is made."""
    done = run("key", "new", "ci", "--expires", said)
    assert done.exit_code == 2
    assert "30m, 12h or 90d" in done.stderr
    assert access.keys({}).keys == ()


def test_options_that_would_pretend_are_refused(run: Run, access: RedisAccess) -> None:
    """An end of an entry, which has none, and its definitions."""
    done = run("key", "new", "ci", "--definitions", "etl-*", "--entry")
    assert done.exit_code == 2
    assert "for all definitions" in done.stderr
    assert run("key", "new", "ci", "--entry", "--expires", "1d").exit_code == 2
    assert run("key", "new", "ci", "--role", "emperor").exit_code == 2
    assert run("key", "new", "no.id").exit_code == 3
    assert not access.keys({}).any_made


def test_name_that_is_taken_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """In Redis, and in the setting: the log must tell who did it."""
    assert run("key", "new", "ci").exit_code == 0
    done = run("key", "new", "ci")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "there is a key called 'ci'" in done.stderr
    monkeypatch.setenv("FLOWENGINE_API_KEYS", new_key("ops")[1])
    assert run("key", "new", "ops").exit_code == 2


def test_keys_are_listed(run: Run, access: RedisAccess, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the setting too; as a table and as JSON; no digest is shown."""
    assert "There is no key. flowengine key new ID makes one." in run("key", "list").stderr
    monkeypatch.setenv("FLOWENGINE_API_KEYS", new_key("ops", "operate")[1])
    monkeypatch.setenv("COLUMNS", "200")
    run("key", "new", "ci", "--role", "read", "--expires", "1d")
    (key,) = access.keys({}).keys
    access.keys({"ci": (key.created_at or 0) + 1})
    listed = json.loads(run("key", "list", "--json").stdout)
    assert [(item["id"], item["role"], item["kept_in"]) for item in listed] == [
        ("ops", "operate", "settings"),
        ("ci", "read", "redis"),
    ]
    assert listed[1]["created_at"] < listed[1]["last_used_at"] < listed[1]["expires_at"]
    shown = run("key", "list").stdout
    assert re.search(r"^ *ci +read +Redis +2", shown, re.MULTILINE)
    assert re.search(r"^ *ops +operate +FLOWENGINE_API_KEYS", shown, re.MULTILINE)
    assert key.digest not in shown
    run("key", "revoke", "ci")
    monkeypatch.delenv("FLOWENGINE_API_KEYS")
    assert "There is no key any more, and the API asks for one." in run("key", "list").stderr


def test_key_that_is_not_in_redis_cannot_be_revoked(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says where it is, or that there is none."""
    monkeypatch.setenv("FLOWENGINE_API_KEYS", new_key("ops")[1])
    done = run("key", "revoke", "ops")
    assert done.exit_code == 2
    assert "'ops' is in FLOWENGINE_API_KEYS" in done.stderr
    done = run("key", "revoke", "nobody")
    assert done.exit_code == 2
    assert "no key is called 'nobody'. See: flowengine key list" in done.stderr


def test_without_redis_only_an_entry_can_be_made(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says how; `--entry` asks nobody."""
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}")
    done = run("key", "new", "ci")
    assert done.exit_code == 3
    assert "REDIS_URL must name the Redis of the API" in done.stderr
    assert "--entry" in done.stderr
    made = run("key", "new", "ci", "--entry", "--role", "read")
    assert made.exit_code == 0
    assert re.search(r"^entry:  ci\.[0-9a-f]{64}\.read$", made.stdout, re.MULTILINE)


@pytest.mark.proves("key-revoked", "key-expired")
def test_api_goes_by_what_the_tool_has_done(run: Run, access: RedisAccess) -> None:
    """Open; closed by the first key; let in at once; revoked, it is refused within seconds, and stays so."""
    with served_api(access=access) as api:
        assert api.client.get("/workflows/x1").status_code == 404
        secrets = {
            # The API logs to the same output.
            name: re.findall(r"\bfe_[\w-]{43}", run("key", "new", name, *options).stdout)[0]
            for name, options in (("ci", ()), ("late", ("--expires", "1d")))
        }
        heads = {name: {"Authorization": f"Bearer {secret}"} for name, secret in secrets.items()}
        wait_until(lambda: api.client.get("/workflows/x1").status_code == 401, what="a closed API")
        for head in heads.values():
            assert api.client.get("/workflows/x1", headers=head).status_code == 404
        assert run("key", "revoke", "ci").exit_code == 0
        wait_until(lambda: api.client.get("/workflows/x1", headers=heads["ci"]).status_code == 401)
        assert api.client.get("/workflows/x1", headers=heads["late"]).status_code == 404
        run("key", "revoke", "late")
        wait_until(lambda: api.client.get("/workflows/x1", headers=heads["late"]).status_code == 401)
        assert api.client.get("/workflows/x1").status_code == 401
