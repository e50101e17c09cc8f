"""Sessions of pages over a real server: the cookie stands for the key, as long as both are valid."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
import redis
from msgspec.structs import replace

from flowengine.access.records import SignIn
from flowengine.api.access.api_keys import digest_of, key_of_entry, new_key
from flowengine.api.access.page_sessions import LASTS_S
from flowengine.settings import Settings
from flowengine.store.access.redis_access import RedisAccess
from flowengine.store.keys import session_key
from tests.e2e.answers import assert_problem
from tests.integration.access.conftest import Run
from tests.support.checks.invariants import check_keys
from tests.support.servers.served_api import ServedApi, served_api
from tests.support.waiting import wait_until

OPS, OPS_ENTRY = new_key("ops", "operate")


@pytest.fixture
def api(access: RedisAccess) -> Iterator[ServedApi]:
    with served_api(Settings(api_keys=(OPS_ENTRY,)), access=access) as served:
        yield served


def sign_in(api: ServedApi, secret: str, **headers: str) -> httpx.Response:
    """The answer to a page that signs in; the client keeps no cookie of it."""
    with httpx.Client(base_url=f"http://127.0.0.1:{api.port}", trust_env=False) as page:
        return page.post("/session", json={"key": secret}, headers=headers)


def cookie_of(answer: httpx.Response) -> dict[str, str]:
    """The header that sends its cookie back."""
    return {"Cookie": answer.headers["set-cookie"].partition(";")[0]}


def keep(access: RedisAccess, key_id: str, expires_in_ms: int | None = None) -> str:
    """A new key that is kept in Redis."""
    secret, entry = new_key(key_id, "read")
    until = None if expires_in_ms is None else access.now() + expires_in_ms
    assert access.add_key(
        replace(key_of_entry(entry), kept_in="redis", created_at=access.now(), expires_at=until)
    )
    return secret


@pytest.mark.proves("session-cookie")
def test_page_signs_in_and_out(api: ServedApi, access: RedisAccess, redis_client: redis.Redis) -> None:
    """From then on the cookie does what the key does, and no more; signed out, it is refused at once."""
    answer = sign_in(api, OPS)
    assert answer.status_code == 201
    assert (answer.json()["key"], answer.json()["role"]) == ("ops", "operate")
    name, _, rest = answer.headers["set-cookie"].partition("=")
    assert name == f"flowengine-{api.port}"
    token, *attributes = rest.split("; ")
    assert attributes == ["Path=/", f"Max-Age={LASTS_S}", "HttpOnly", "SameSite=Strict"]
    cookie = cookie_of(answer)
    me = api.client.get("/me", headers=cookie).json()
    assert me == {"key": "ops", "role": "operate", "definitions": []}
    assert_problem(api.client.get("/keys", headers=cookie), 403, "role_missing")
    assert_problem(api.client.post("/workflows/x1/cancel", headers=cookie), 404, "execution_not_found")
    stored = [key.decode() for key in redis_client.scan_iter("fe:session:*")]
    assert stored == [session_key(digest_of(token))]
    assert token not in repr(redis_client.get(stored[0]))
    assert LASTS_S - 60 < redis_client.ttl(stored[0]) <= LASTS_S + 1
    check_keys(redis_client)
    ended = api.client.delete("/session", headers=cookie)
    assert ended.json() == {"ended": True}
    assert ended.headers["set-cookie"].startswith(f"flowengine-{api.port}=; Path=/; Max-Age=0;")
    assert_problem(api.client.get("/me", headers=cookie), 401, "unauthorized")
    assert api.client.delete("/session", headers=cookie).json() == {"ended": False}
    assert api.client.delete("/session").json() == {"ended": False}
    told = [(item.entry.action, item.entry.target, item.entry.key) for item in access.audit(10, None)]
    assert told == [("end_session", "ops", "ops"), ("start_session", "ops", "ops")]


def test_cookie_over_https_is_of_this_host_alone(api: ServedApi) -> None:
    """Behind a proxy that ends TLS, the page's origin tells."""
    headers = {"Origin": "https://flows.example", "Host": "flows.example", "Sec-Fetch-Site": "same-origin"}
    answer = sign_in(api, OPS, **headers)
    assert re.fullmatch(
        r"__Host-flowengine=\S+; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict; Secure",
        answer.headers["set-cookie"],
    )
    assert api.client.get("/me", headers={**cookie_of(answer), "Host": "flows.example"}).status_code == 200


@pytest.mark.proves("cross-site")
def test_page_of_another_site_signs_nobody_in_and_uses_no_session(api: ServedApi) -> None:
    """Another port of this machine is another site, although its pages have the cookie sent."""
    cookie = cookie_of(sign_in(api, OPS))
    other = {"Origin": f"http://127.0.0.1:{api.port + 1}", "Sec-Fetch-Site": "same-site"}
    assert_problem(sign_in(api, OPS, **other), 403, "cross_site_request")
    answer = api.client.post("/workflows/x1/cancel", headers={**cookie, **other})
    assert_problem(answer, 403, "cross_site_request")
    assert_problem(api.client.delete("/session", headers={**cookie, **other}), 403, "cross_site_request")
    assert api.client.get("/me", headers=cookie).status_code == 200


@pytest.mark.proves("key-revoked", "session-cookie")
def test_revoked_key_ends_its_sessions(api: ServedApi, access: RedisAccess, run: Run) -> None:
    """Revoked by the tool; a new key of the same name does not revive them."""
    cookie = cookie_of(sign_in(api, keep(access, "ci")))
    assert api.client.get("/me", headers=cookie).json()["key"] == "ci"
    run("key", "revoke", "ci")
    keep(access, "ci")
    wait_until(lambda: api.client.get("/me", headers=cookie).status_code == 401, what="an end of the session")
    assert api.client.get("/me", headers=cookie).status_code == 401


def test_session_lasts_no_longer_than_its_key(
    api: ServedApi, access: RedisAccess, redis_client: redis.Redis
) -> None:
    """The cookie and what is kept end with it."""
    answer = sign_in(api, keep(access, "late", expires_in_ms=600_000))
    (lasts,) = re.findall(r"Max-Age=(\d+)", answer.headers["set-cookie"])
    assert 500 < int(lasts) <= 600
    (stored,) = redis_client.scan_iter("fe:session:*")
    assert redis_client.ttl(stored) <= 601


def test_session_whose_time_is_over_opens_nothing(
    api: ServedApi, access: RedisAccess, redis_client: redis.Redis
) -> None:
    """By Redis's clock, even if Redis still has it."""
    key = key_of_entry(OPS_ENTRY)
    access.start_session(digest_of("fresh"), SignIn(key.digest, access.now() + 100_000))
    access.start_session(digest_of("gone"), SignIn(key.digest, access.now() + 900))
    redis_client.persist(session_key(digest_of("gone")))
    name = f"flowengine-{api.port}"
    assert api.client.get("/me", headers={"Cookie": f"{name}=fresh"}).status_code == 200
    wait_until(lambda: api.client.get("/me", headers={"Cookie": f"{name}=gone"}).status_code == 401)


def test_session_is_looked_up_now_and_then(
    api: ServedApi, access: RedisAccess, redis_client: redis.Redis
) -> None:
    """A page that asks a hundred times costs a few round trips."""
    cookie = cookie_of(sign_in(api, OPS))
    api.client.get("/me", headers=cookie)
    redis_client.config_resetstat()
    for _ in range(100):
        assert api.client.get("/me", headers=cookie).status_code == 200
    stats = redis_client.info("commandstats")
    assert stats.get("cmdstat_get", {"calls": 0})["calls"] < 20


def test_wrong_cookies_and_both_credentials(api: ServedApi) -> None:
    """A header decides where it is sent, right or wrong; a cookie of another name or token is none."""
    cookie = cookie_of(sign_in(api, OPS))
    name = f"flowengine-{api.port}"
    wrong = {"Authorization": "Bearer fe_wrong"}
    assert_problem(api.client.get("/me", headers={**cookie, **wrong}), 401, "unauthorized")
    assert_problem(api.client.get("/me", headers={**cookie, "Authorization": "Basic x"}), 401, "unauthorized")
    right = {"Authorization": f"Bearer {OPS}", "Cookie": f"{name}=wrong"}
    assert api.client.get("/me", headers=right).status_code == 200
    for sent in (f"{name}=", f"{name}=x", f"{name}={'x' * 5000}", "flowengine=x", f"{name}={digest_of(OPS)}"):
        assert_problem(api.client.get("/me", headers={"Cookie": sent}), 401, "unauthorized")


@pytest.mark.parametrize(
    "secret",
    ["", "fe_wrong", f"{OPS}x", digest_of(OPS), "x" * 3000, "é"],
    ids=["none", "wrong", "longer", "digest", "long", "letter"],
)
def test_wrong_key_signs_nobody_in(api: ServedApi, redis_client: redis.Redis, secret: str) -> None:
    """401 without a cookie; nothing is kept, and the key is not repeated."""
    answer = sign_in(api, secret)
    assert_problem(answer, 401, "unauthorized")
    assert "set-cookie" not in answer.headers
    assert answer.json()["detail"] == "The key is not valid."
    assert list(redis_client.scan_iter("fe:session:*")) == []


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        ("{", "application/json", 400, "malformed_document"),
        ("[]", "application/json", 422, "invalid_body"),
        ("{}", "application/json", 422, "invalid_body"),
        ('{"key": 1}', "application/json", 422, "invalid_body"),
        ('{"kye": "canary"}', "application/json", 422, "invalid_body"),
        ('{"key": "a", "role": "admin"}', "application/json", 422, "invalid_body"),
        ("key: canary", "application/yaml", 415, "unsupported_media_type"),
        ("key=canary", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        ('{"key": "' + "x" * 5000 + '"}', "application/json", 413, "body_too_large"),
    ],
)
def test_wrong_body_is_refused(api: ServedApi, body: str, content_type: str, status: int, code: str) -> None:
    """With its place, and without what was sent."""
    answer = api.client.post("/session", content=body, headers={"Content-Type": content_type})
    assert_problem(answer, status, code)
    assert "canary" not in answer.text


def test_without_keys_nobody_has_to_sign_in(access: RedisAccess) -> None:
    """No key is valid there; a cookie of before does no harm."""
    with served_api(access=access) as open_api:
        assert_problem(sign_in(open_api, OPS), 401, "unauthorized")
        cookie = {"Cookie": f"flowengine-{open_api.port}=x"}
        me = open_api.client.get("/me", headers=cookie).json()
        assert me == {"key": None, "role": "admin", "definitions": []}
