"""Keys: every route but /health is closed once one is set; without one nobody else gets near."""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256

import pytest
import structlog
from litestar import Litestar
from litestar.routes import HTTPRoute

from flowengine.api.access.api_keys import digest_of, key_of_entry, new_key
from flowengine.api.access.host_rules import check_binding, is_loopback, served_hosts_only
from flowengine.api.app import create_app
from flowengine.errors import SettingsError
from flowengine.settings import Settings, load_settings
from tests.support.fake_access import FakeAccess
from tests.support.fake_executions import FakeExecutions
from tests.support.servers.served_api import ServedApi, catalog, served_api
from tests.support.waiting import wait_until

SECRET, ENTRY = new_key("ops")
OTHER_SECRET, OTHER_ENTRY = new_key("ci-runner")
SETTINGS = Settings(api_keys=(ENTRY, OTHER_ENTRY))


@pytest.fixture(scope="module")
def api() -> Iterator[ServedApi]:
    with served_api(SETTINGS) as served:
        yield served


def routes_of(app: Litestar) -> list[tuple[str, str]]:
    """Every (method, path) that the app serves, parameters filled in."""
    return [
        (method, re.sub(r"\{[^}]*\}", "x1", route.path))
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for method in route.methods
    ]


def is_open(method: str, path: str) -> bool:
    """Whether anybody may ask for this: health, the documentation, callbacks, whose token is the right."""
    if path.startswith("/callbacks/"):
        return method == "POST"
    if path == "/session":
        return method in ("POST", "DELETE")
    return method == "GET" and (
        path in ("/", "/health", "/openapi.json") or path.startswith(("/docs", "/ui"))
    )


def test_every_other_route_asks_for_a_key(api: ServedApi) -> None:
    """Walks all routes and methods of the app, OPTIONS included."""
    walked = routes_of(create_app(FakeExecutions(), catalog(), SETTINGS, FakeAccess()))
    assert len(walked) >= 16
    for method, path in walked:
        answer = api.client.request(method, path)
        if is_open(method, path):
            assert answer.status_code not in (401, 403), (method, path)
        else:
            assert (answer.status_code, answer.headers["www-authenticate"]) == (
                401,
                'Bearer realm="flowengine"',
            ), (method, path)
            assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "path", ["/workflows/x1/", "//workflows//x1", "/docs/../workflows/x1", "/WORKFLOWS/x1", "/%77orkflows/x1"]
)
def test_no_spelling_of_a_path_opens_a_route(api: ServedApi, path: str) -> None:
    """Routes are closed by what they are, not by what they are called."""
    answer = api.send_raw(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith((b"HTTP/1.1 401 ", b"HTTP/1.1 404 "))


def test_each_key_opens_every_route(api: ServedApi) -> None:
    """With a key nothing answers 401; the scheme's case does not matter."""
    for secret, scheme in ((SECRET, "Bearer"), (OTHER_SECRET, "bearer")):
        for method, path in routes_of(create_app(FakeExecutions(), catalog(), SETTINGS, FakeAccess())):
            answer = api.ask(method, path, {"Authorization": f"{scheme} {secret}"})
            assert answer.status_code != 401, (method, path)


@pytest.mark.parametrize(
    "header",
    [
        f"Bearer {SECRET}x",
        f"Bearer {SECRET[:-1]}",
        f"Bearer {ENTRY}",
        f"Bearer {ENTRY.partition('.')[2]}",
        f"Basic {SECRET}",
        SECRET,
        "Bearer",
        "Bearer " + "x" * 5000,
        "Bearer é",
    ],
    ids=range(9),
)
def test_a_wrong_credential_is_refused(api: ServedApi, header: str) -> None:
    """Near misses, the stored digest, other schemes, nonsense."""
    answer = api.client.get("/workflows/x1", headers={b"Authorization": header.encode()})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer ")


def test_two_credentials_are_refused(api: ServedApi) -> None:
    """Two headers, one of them right, are still ambiguous."""
    headers = [("Authorization", "Bearer x"), ("Authorization", f"Bearer {SECRET}")]
    assert api.client.get("/workflows/x1", headers=headers).status_code == 401


def test_a_refused_body_is_not_read(api: ServedApi) -> None:
    """Who has no key does not get to send 100 MB."""
    head = b"POST /workflow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 104857600\r\n"
    assert api.send_raw(head + b"Expect: 100-continue\r\n\r\n").startswith(b"HTTP/1.1 401 ")


def test_the_log_names_the_keys_id_and_never_the_key(api: ServedApi) -> None:
    """Who did it is known; with what is not written anywhere."""
    with structlog.testing.capture_logs() as logged:
        api.client.put("/workflows/x1", headers={"Authorization": "Bearer wrong-canary"})
        api.client.head("/workflows/x1", headers={"Authorization": "Bearer wrong-canary"})
        api.client.head("/workflows/x1", headers={"Authorization": f"Bearer {SECRET}"})
        wait_until(lambda: [line.get("api_key") for line in logged][-1:] == ["ops"])
    assert [line.get("api_key") for line in logged if line.get("method") == "HEAD"] == [None, "ops"]
    assert SECRET not in str(logged)
    assert "wrong-canary" not in str(logged)


def test_with_a_key_any_host_name_is_served(api: ServedApi) -> None:
    """The key keeps strangers out; behind a proxy the host is whatever the proxy says."""
    assert api.client.get("/health", headers={"Host": "flows.example"}).status_code == 200


def test_without_keys_only_loopback_names_are_served() -> None:
    """A web page that points its own name at this machine (DNS rebinding) is turned away."""
    with served_api() as api:
        for host in ("localhost", "127.0.0.1:8000", "[::1]:80", "a.localhost:1"):
            assert api.client.get("/health", headers={"Host": host}).status_code == 200, host
        for host in ("evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example"):
            answer = api.client.get("/health", headers={"Host": host})
            assert (answer.status_code, answer.json()["code"]) == (421, "misdirected_request"), host


def test_a_new_key_is_admitted_and_only_its_digest_is_kept() -> None:
    """The entry holds no part of the key, passes the settings' own check, and two keys differ."""
    secret, entry = new_key("a-b_C1")
    assert entry == f"a-b_C1.{sha256(secret.encode()).hexdigest()}"
    assert load_settings({"FLOWENGINE_API_KEYS": entry}, None).api_keys == (entry,)
    found = key_of_entry(entry)
    assert (found.id, found.role, found.digest) == ("a-b_C1", "admin", digest_of(secret))
    assert key_of_entry(new_key("ci", "run")[1]).role == "run"
    assert new_key("a")[0] != new_key("a")[0]


@pytest.mark.parametrize("key_id", ["", "a.b", "a b", "é", "x" * 65, "a\n"])
def test_a_key_id_is_plain_text(key_id: str) -> None:
    """What would not survive the settings' list is refused when the key is made."""
    with pytest.raises(SettingsError):
        new_key(key_id)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost", "LOCALHOST.", "[::1]"])
def test_loopback_needs_no_key(host: str) -> None:
    """Names and literals that can only mean this machine."""
    check_binding(Settings(), host, insecure=False)
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.2", "example.org", "localhost.example.org"])
def test_another_address_needs_keys_or_insecure(host: str) -> None:
    """The refusal says both ways out."""
    with pytest.raises(SettingsError, match=r"FLOWENGINE_API_KEYS.*--insecure"):
        check_binding(Settings(), host, insecure=False)
    check_binding(Settings(), host, insecure=True)
    check_binding(SETTINGS, host, insecure=False)


@pytest.mark.parametrize(
    ("host", "served"),
    [
        ("localhost:8000", True),
        ("LOCALHOST", True),
        ("[::1]:80", True),
        ("evil.example:8000", False),
        ("", False),
    ],
)
def test_named_hosts_are_served_even_where_the_binding_is_insecure(host: str, served: bool) -> None:
    """In a container the API listens on all addresses; a name that was rebound to it gets no answer."""
    settings = Settings(insecure=True, served_hosts=("localhost", "::1"))
    assert served_hosts_only(settings, lambda: False)(host) is served
