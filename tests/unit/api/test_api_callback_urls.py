"""`POST /callbacks/{token}` over HTTP: open to everyone who has the token, and to no flood."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from flowengine.api.access.address_limits import AddressLimits
from flowengine.api.access.host_rules import with_public_url
from flowengine.api.routes.waits import call_back
from flowengine.engine.commands.answering.call_back import Carried
from flowengine.execution.records import NodeError
from flowengine.settings import Limits, Settings
from tests.support.servers.served_api import ServedApi, served_api

TOKEN = "19b7ca98f2ef2c4d1b3a9e87f60.0.1." + "A" * 43
PATH = f"/callbacks/{TOKEN}"


@pytest.fixture
def api() -> Iterator[ServedApi]:
    with served_api() as served:
        served.store.callbacks[TOKEN] = None
        yield served


@pytest.mark.parametrize(
    ("body", "carried"),
    [
        (None, Carried(b"null")),
        ({"pages": 12}, Carried(b'{"pages":12}')),
        ([1], Carried(b"[1]")),
        ({"error": None}, Carried(b'{"error":null}')),
        ({"error": {}, "more": 1}, Carried(b'{"error":{},"more":1}')),
        ({"error": {"code": "no", "message": "it"}}, Carried(error=NodeError("no", "it"))),
    ],
)
def test_a_callback_is_passed_on(api: ServedApi, body: object, carried: Carried) -> None:
    """202; any JSON value, or none, or a failure. The second one is 410."""
    given = {} if body is None else {"content": msgspec.json.encode(body)}
    headers = {"Content-Type": "application/json"}
    answer = api.client.post(PATH, headers=headers, **given)  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()) == (202, {"accepted": True}), answer.text
    found = api.store.callbacks[TOKEN]
    assert found is not None
    assert (found.payload, found.error) == (carried.payload, carried.error)
    answer = api.client.post(PATH)
    assert (answer.status_code, answer.json()["code"]) == (410, "callback_gone")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"error": {}}, "/error/code"),
        ({"error": {"code": "a b", "message": ""}}, "/error/code"),
        ({"error": {"code": "a", "message": 5}}, "/error/message"),
        ({"error": {"code": "a", "message": "", "why": 1}}, "/error/why"),
    ],
)
def test_a_wrong_failure_is_refused(api: ServedApi, body: object, pointer: str) -> None:
    """422 with its place; it is not kept."""
    answer = api.client.post(PATH, json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_body")
    assert pointer in [problem["pointer"] for problem in answer.json()["problems"]]
    assert api.store.callbacks[TOKEN] is None


def test_only_small_json_is_taken_and_only_by_post(api: ServedApi) -> None:
    """413, 415, 405."""
    assert api.client.post(PATH, json="x" * 65_536).status_code == 413
    assert api.client.post(PATH, content=b"a: 1", headers={"Content-Type": "text/yaml"}).status_code == 415
    assert api.client.get(PATH).status_code == 405
    assert api.store.callbacks[TOKEN] is None


def test_no_key_is_asked_for_and_any_site_and_host_may_call() -> None:
    """The token is the right."""
    entry = "ops." + "0" * 64
    with served_api(Settings(api_keys=(entry,), served_hosts=("flow.example",))) as served:
        served.store.callbacks[TOKEN] = None
        assert served.client.post("/workflow", json={}, headers={"Host": "flow.example"}).status_code == 401
        odd = {"Host": "tunnel.example", "Origin": "https://other.example", "Sec-Fetch-Site": "cross-site"}
        assert served.client.post(PATH, headers=odd).status_code == 202
        assert served.client.get("/health", headers={"Host": "tunnel.example"}).status_code == 421


def test_unknown_tokens_are_limited_by_address(api: ServedApi) -> None:
    """404, some times; then 429 with a time to wait, which a right one need not wait."""
    answers = [api.client.post(f"/callbacks/x{number}") for number in range(40)]
    codes = [answer.json()["code"] for answer in answers]
    assert set(codes) == {"callback_not_found", "too_many_callbacks"}
    assert codes[0] == "callback_not_found"
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert api.client.post(PATH).status_code == 202


def test_a_right_token_is_refused_for_what_right_ones_have_spent_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Unknown ones cost it nothing, whatever their bodies are: those are not read."""
    monkeypatch.setattr(call_back, "CALLS_AT_ONCE", 2)
    monkeypatch.setattr(call_back, "CALLS_PER_S", 0.001)
    monkeypatch.setattr(call_back, "UNKNOWN_PER_S", 0.001)
    odd = {"Content-Type": "text/yaml"}
    with served_api() as served:
        served.store.callbacks[TOKEN] = None
        for number in range(30):
            answer = served.client.post(f"/callbacks/x{number}", content=b"a: 1", headers=odd)
            assert answer.status_code == (404 if number < 20 else 429)
        assert [served.client.post(PATH).status_code for _ in range(3)] == [202, 410, 429]


@pytest.mark.proves("callback-hidden")
def test_no_log_line_and_no_refusal_shows_the_token(api: ServedApi) -> None:
    """Also of a path behind it that is no route."""
    with capture_logs() as lines:
        answers = [api.client.post(PATH) for _ in range(2)]
        answers.append(api.client.post(f"{PATH}/more"))
    assert [answer.status_code for answer in answers] == [202, 410, 404]
    assert TOKEN not in str(lines)
    for answer in answers:
        assert TOKEN not in answer.text


@pytest.mark.proves("callback-hidden")
def test_what_a_service_sends_back_is_kept_without_the_token() -> None:
    """Wherever it stands in the payload, or in a failure."""
    sent = Carried(b'{"to":"https://x/callbacks/T0.1"}').without("T0.1")
    assert sent.payload == b'{"to":"https://x/callbacks/***"}'
    failed = Carried(error=NodeError("no", "not T0.1")).without("T0.1")
    assert failed.error == NodeError("no", "not ***")


def test_an_address_gets_back_what_it_has_spent_with_time() -> None:
    """And no more than it may spend at once; others have their own. It owes no more than that either."""
    now = [100.0]
    limits = AddressLimits(3, 0.5, clock=lambda: now[0])
    for _ in range(3):
        assert not limits.wait_s("a")
        limits.spend("a")
    assert limits.wait_s("a") == 2.0
    assert not limits.wait_s("b")
    now[0] += 2
    assert not limits.wait_s("a")
    limits.spend("a", 3)
    assert limits.wait_s("a") == 6.0
    limits.spend("a", 500)
    assert limits.wait_s("a") == 8.0
    now[0] += 1000
    assert not limits.wait_s("a")


@pytest.mark.parametrize(
    ("host", "port", "given", "wanted"),
    [
        ("127.0.0.1", 8000, None, "http://127.0.0.1:8000"),
        ("::1", 8000, None, "http://[::1]:8000"),
        ("localhost", 9, None, "http://localhost:9"),
        ("0.0.0.0", 8000, None, ""),
        ("127.0.0.1", 0, None, ""),
        ("0.0.0.0", 8000, "https://flow.example", "https://flow.example"),
    ],
)
def test_the_base_of_callback_urls(host: str, port: int, given: str | None, wanted: str) -> None:
    """The setting, or the address of an API that listens on loopback, or none."""
    settings = replace(Settings(api_host=host), limits=Limits(public_url=given))
    assert with_public_url(settings, port).limits.public_url == wanted
