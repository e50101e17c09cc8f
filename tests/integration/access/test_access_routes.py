"""`/keys`, `/me` and `/settings` over a real server: right and wrong requests, and nothing of a secret."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest
from msgspec.structs import replace

from flowengine.access.roles import ROLES, Role, allows
from flowengine.api.access.api_keys import digest_of, key_of_entry, new_key
from flowengine.settings import Settings, load_settings
from flowengine.settings.table import SETTINGS
from flowengine.store.access.redis_access import RedisAccess
from tests.e2e.answers import assert_problem
from tests.support.servers.served_api import ServedApi, served_api

Ask = Callable[..., httpx.Response]
OPS, OPS_ENTRY = new_key("ops")


def keep(access: RedisAccess, key_id: str, role: Role, expires_at: int | None = None) -> str:
    """A new key that is kept in Redis."""
    secret, entry = new_key(key_id, role)
    assert access.add_key(
        replace(key_of_entry(entry), kept_in="redis", created_at=access.now(), expires_at=expires_at)
    )
    return secret


@contextmanager
def asking(api: ServedApi, secret: str) -> Iterator[Ask]:
    """Asks with this key."""

    def ask(method: str, path: str, **options: object) -> httpx.Response:
        headers = {"Authorization": f"Bearer {secret}"}
        return api.client.request(method, path, headers=headers, **options)  # type: ignore[arg-type]  # what httpx takes

    yield ask


@pytest.fixture
def api(access: RedisAccess) -> Iterator[ServedApi]:
    with served_api(Settings(api_keys=(OPS_ENTRY,)), access=access) as served:
        yield served


@pytest.mark.parametrize("role", ROLES)
def test_each_role_is_told_who_it_is_and_only_admins_see_the_rest(
    api: ServedApi, access: RedisAccess, role: Role
) -> None:
    """Every route of this kind, with a key of each role that is kept in Redis."""
    secret = keep(access, f"a-{role}", role)
    with asking(api, secret) as ask:
        assert ask("GET", "/me").json() == {"key": f"a-{role}", "role": role, "definitions": []}
        for method, path in (("GET", "/keys"), ("GET", "/settings"), ("DELETE", "/keys/nobody")):
            answer = ask(method, path)
            if allows(role, "admin"):
                assert answer.status_code in (200, 404)
            else:
                assert_problem(answer, 403, "role_missing")


def test_without_keys_everybody_is_an_admin_without_a_name(access: RedisAccess) -> None:
    """So a page knows what it may offer."""
    with served_api(access=access) as open_api:
        assert open_api.client.get("/me").json() == {"key": None, "role": "admin", "definitions": []}
        assert open_api.client.get("/keys").json() == {"items": [], "next_cursor": None}


def test_keys_are_listed_without_anything_of_them(api: ServedApi, access: RedisAccess) -> None:
    """Those of the settings and of Redis, expired ones too; no digest."""
    secret = keep(access, "ci", "run")
    keep(access, "old", "read", expires_at=access.now())
    with asking(api, OPS) as ask:
        answer = ask("GET", "/keys")
    listed = {item["id"]: item for item in answer.json()["items"]}
    assert [(key, item["role"], item["kept_in"], item["expired"]) for key, item in listed.items()] == [
        ("ops", "admin", "settings", False),
        ("ci", "run", "redis", False),
        ("old", "read", "redis", True),
    ]
    assert listed["ops"]["created_at"] is None
    assert listed["old"]["created_at"][:10] == listed["old"]["expires_at"][:10]
    for hidden in (secret, OPS, digest_of(secret), digest_of(OPS)):
        assert hidden not in answer.text


@pytest.mark.proves("key-revoked")
def test_revoked_key_is_refused_by_this_process_at_once(api: ServedApi, access: RedisAccess) -> None:
    """The next request is; of two revocations one finds it."""
    secret = keep(access, "ci", "read")
    with asking(api, secret) as ask, asking(api, OPS) as ask_as_ops:
        assert ask("GET", "/me").status_code == 200
        assert ask_as_ops("DELETE", "/keys/ci").json() == {"id": "ci"}
        assert_problem(ask("GET", "/me"), 401, "unauthorized")
        assert_problem(ask_as_ops("DELETE", "/keys/ci"), 404, "key_not_found")


def test_key_may_revoke_itself(api: ServedApi, access: RedisAccess) -> None:
    """Its holder has lost it."""
    secret = keep(access, "lost", "admin")
    with asking(api, secret) as ask:
        assert ask("DELETE", "/keys/lost").status_code == 200
        assert ask("GET", "/me").status_code == 401


def test_key_of_the_settings_is_revoked_there(api: ServedApi) -> None:
    """409 says where; the key is valid as before."""
    with asking(api, OPS) as ask:
        answer = ask("DELETE", "/keys/ops")
        assert "FLOWENGINE_API_KEYS" in str(assert_problem(answer, 409, "key_in_settings")["detail"])
        assert ask("GET", "/me").status_code == 200


@pytest.mark.parametrize("key_id", ["nobody", "%00", "x" * 5000, "made", "key:ci", "%C3%A9", "..%2fme"])
def test_unknown_key_cannot_be_revoked(api: ServedApi, access: RedisAccess, key_id: str) -> None:
    """What is no id is none either; nothing is removed, and the message stays short."""
    keep(access, "ci", "read")
    with asking(api, OPS) as ask:
        answer = ask("DELETE", f"/keys/{key_id}")
    assert answer.status_code == 404
    assert len(answer.json()["detail"]) < 200
    assert [key.id for key in access.keys({}).keys] == ["ci"]
    assert access.keys({}).any_made


def test_what_these_routes_do_not_know_is_refused(api: ServedApi, access: RedisAccess) -> None:
    """Parameters of the query, a body of a DELETE, pages of other sites."""
    keep(access, "ci", "read")
    with asking(api, OPS) as ask:
        for method, path in (("GET", "/me"), ("GET", "/keys"), ("GET", "/settings"), ("DELETE", "/keys/ci")):
            assert_problem(ask(method, f"{path}?why=1"), 422, "unknown_parameter")
        assert_problem(ask("DELETE", "/keys/ci", json={"why": 1}), 400, "not_supported")
        assert_problem(ask("POST", "/keys", json={}), 405, "method_not_allowed")
    headers = {"Authorization": f"Bearer {OPS}", "Sec-Fetch-Site": "cross-site"}
    assert_problem(api.client.delete("/keys/ci", headers=headers), 403, "cross_site_request")
    assert [key.id for key in access.keys({}).keys] == ["ci"]


def test_settings_are_shown_without_a_secret(access: RedisAccess) -> None:
    """Each with its value, its default and what it allows; passwords and keys are `***`."""
    environ = {
        "REDIS_URL": "redis://:canary-1@localhost",
        "LLM_API_KEY": "canary-2",
        "LLM_BASE_URL": "https://me:canary-3@models.example/v1",
        "FLOWENGINE_API_KEYS": OPS_ENTRY,
        "FLOWENGINE_HTTP_METHODS": "PROPFIND,PURGE",
        "FLOWENGINE_INSECURE": "true",
    }
    with (
        served_api(load_settings(environ, None), access=access) as served,
        asking(served, OPS) as ask,
    ):
        answer = ask("GET", "/settings")
    shown = {item["name"]: item for item in answer.json()["items"]}
    assert list(shown) == [setting.name for setting in SETTINGS]
    assert {name: shown[name]["value"] for name in environ} == {
        "REDIS_URL": "***",
        "LLM_API_KEY": "***",
        "LLM_BASE_URL": "https://***@models.example/v1",
        "FLOWENGINE_API_KEYS": "***",
        "FLOWENGINE_HTTP_METHODS": "PROPFIND,PURGE",
        "FLOWENGINE_INSECURE": "true",
    }
    assert (shown["FLOWENGINE_PORT"]["value"], shown["FLOWENGINE_PORT"]["default"]) == ("8000", "8000")
    assert shown["LLM_MODEL"]["value"] is None
    assert "canary" not in answer.text
    assert digest_of(OPS) not in answer.text
