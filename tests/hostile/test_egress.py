"""Addresses that no workflow may reach, under any name, in any notation, by any route."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

import httpcore
import httpx
import pytest

from flowengine.handlers.http.clients import make_async_client, make_client
from flowengine.handlers.http.network.egress_rules import host_refusal, refusal
from flowengine.handlers.http.network.forbidden_target import ForbiddenTarget, own_server
from flowengine.handlers.http.network.guarded_connections import (
    AsyncGuardedBackend,
    EgressRefusedError,
    GuardedBackend,
    Resolver,
    system_resolver,
)
from flowengine.plugin import HandlerError
from flowengine.settings.model import Egress
from tests.support.rigs.handler_runs import running
from tests.support.servers.http_server import Reply, serving

NEVER = [
    "0.0.0.0",
    "0.1.2.3",
    "169.254.169.254",
    "169.254.170.2",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "fe80::1",
    "fe80::1%1",
    "ff02::1",
    "fd00:ec2::254",
    "fd00:ec2::23",
    "fd00:ec2::253",
    "fd00:c1::a9fe:a9fe",
    "fd00:a9fe:a9fe::1",
    "fd00:100::100:200",
    "fd00:42::42",
    "fd20:ce::254",
    "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe",
    "::169.254.169.254",
    "2002:a9fe:a9fe::1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a9fe:a9fe",
    "64:ff9b:1:a9fe:a9:fe00:808:808",
    "64:ff9b:1:a9:fe:a9fe:0:0",
    "2001:0:a9fe:a9fe::1",
    "100::1",
    "5f00::1",
]
LOOPBACK = ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1"]
PRIVATE = [
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "198.18.0.1",
    "192.0.2.1",
    "fd12:3456::1",
    "fec0::1",
    "2001:db8::1",
    "::ffff:10.0.0.1",
    "64:ff9b::a00:1",
]
PUBLIC = ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
POLICIES: tuple[Egress, ...] = ("public", "private", "any")


@pytest.mark.parametrize(("address", "policy"), list(itertools.product(NEVER, POLICIES)))
def test_dangerous_addresses_are_refused_under_every_policy(address: str, policy: Egress) -> None:
    """Metadata, link-local, multicast, unspecified, broadcast and reserved, IPv6 wrappings included."""
    assert refusal(address, policy)


@pytest.mark.parametrize(
    ("addresses", "allowing"),
    [(LOOPBACK, ("any",)), (PRIVATE, ("private", "any")), (PUBLIC, POLICIES)],
    ids=["loopback", "private", "public"],
)
@pytest.mark.parametrize("policy", POLICIES)
def test_each_policy_allows_what_it_names(
    addresses: list[str], allowing: tuple[Egress, ...], policy: Egress
) -> None:
    """`public` the internet, `private` internal networks too, `any` loopback too."""
    allowed = [address for address in addresses if refusal(address, policy) is None]
    assert allowed == (addresses if policy in allowing else [])


@pytest.mark.parametrize("host", ["metadata.google.internal", "METADATA.google.internal."])
def test_metadata_services_are_refused_by_name(host: str) -> None:
    """Whatever the name resolves to."""
    assert host_refusal(host)


NOTATIONS = [
    "http://2852039166/",
    "http://0xA9FEA9FE/",
    "http://0xa9.0xfe.0xa9.0xfe/",
    "http://0251.0376.0251.0376/",
    "http://169.254.43518/",
    "http://169.254.169.254./",
    "http://[::ffff:169.254.169.254]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[fe80::1]/",
    "http://[fe80::1%25lo]/",
    "http://0/",
    "http://0.0.0.0:80/",
    "http://[::]/",
    "http://224.0.0.1/",
    "http://me:you@169.254.169.254/",
    "http://１６９.２５４.１６９.２５４/",
    "http://169。254。169。254/",
    "http://metadata.google.internal/computeMetadata/v1/",
]


@pytest.mark.parametrize("url", NOTATIONS)
def test_no_notation_of_an_address_gets_past(url: str) -> None:
    """Decimal, octal, hexadecimal, short, mapped, full-width: each ends refused, after one attempt."""
    with running("any") as runs, pytest.raises(HandlerError) as caught:
        runs.run("http_request", {"url": url})
    assert caught.value.code in ("egress_refused", "invalid_request")
    assert len(caught.value.errors) == 1


@pytest.mark.parametrize("url", ["http://2130706433:1/", "http://0x7f.1:1/", "http://0177.0.0.1:1/"])
def test_other_notations_of_loopback_are_refused_in_production(url: str) -> None:
    """The default policy is `private`."""
    with running("private") as runs, pytest.raises(HandlerError) as caught:
        runs.run("http_request", {"url": url})
    assert caught.value.code in ("egress_refused", "invalid_request")
    assert "FLOWENGINE_EGRESS=any" in caught.value.message or "Invalid IPv4 address" in caught.value.message


def test_localhost_is_not_called_in_production() -> None:
    """Neither by address nor by name; the server sees nothing."""
    with serving() as server, running("private") as runs:
        for host in ("127.0.0.1", "localhost"):
            with pytest.raises(HandlerError) as caught:
                runs.run("http_request", {"url": server.url("/x", host=host)})
            assert caught.value.code == "egress_refused"
        assert server.calls == []


def test_a_redirect_to_a_refused_address_is_refused() -> None:
    """The rules hold for every hop, not for the first."""
    with serving() as server, running("any") as runs:
        server.answers(
            "/a", Reply(status=302, headers={"Location": "http://169.254.169.254/latest/meta-data/"})
        )
        with pytest.raises(HandlerError) as caught:
            runs.run("http_request", {"url": server.url("/a")})
    assert caught.value.code == "egress_refused"
    assert "169.254.169.254 is a link-local address" in caught.value.message


class ChangingResolver:
    """A name server that answers something else each time."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.asked = 0
        self._answers = answers

    def __call__(self, host: str, port: int) -> Sequence[str]:
        answer = self._answers[min(self.asked, len(self._answers) - 1)]
        self.asked += 1
        return answer


class Get(Protocol):
    """Requests the URLs one after the other with one client, and returns the responses."""

    def __call__(
        self,
        policy: Egress,
        *urls: str,
        resolver: Resolver = system_resolver,
        keep: bool = True,
    ) -> list[httpx.Response]:
        """`keep`: use one connection again where possible. Redirects are followed."""


def get_sync(
    policy: Egress, *urls: str, resolver: Resolver = system_resolver, keep: bool = True
) -> list[httpx.Response]:
    """As a handler's `context.http()` does."""
    with make_client(policy, resolver=resolver) as client:
        return [client.get(url, headers=connection(keep), follow_redirects=True) for url in urls]


def get_async(
    policy: Egress, *urls: str, resolver: Resolver = system_resolver, keep: bool = True
) -> list[httpx.Response]:
    """As a handler's `context.async_http()` does."""

    async def get() -> list[httpx.Response]:
        async with make_async_client(policy, resolver=resolver) as client:
            return [await client.get(url, headers=connection(keep), follow_redirects=True) for url in urls]

    return asyncio.run(get())


def connection(keep: bool) -> dict[str, str]:
    """The header that says whether the connection is used again."""
    return {} if keep else {"Connection": "close"}


GetPast: TypeAlias = Callable[[ForbiddenTarget, str, Resolver], httpx.Response]


def get_past_sync(forbidden: ForbiddenTarget, url: str, resolver: Resolver) -> httpx.Response:
    """The answer of a client that may not reach `forbidden`."""
    with make_client("any", resolver=resolver, forbidden=forbidden) as client:
        return client.get(url)


def get_past_async(forbidden: ForbiddenTarget, url: str, resolver: Resolver) -> httpx.Response:
    """The same for the client of an event loop."""

    async def get() -> httpx.Response:
        async with make_async_client("any", resolver=resolver, forbidden=forbidden) as client:
            return await client.get(url)

    return asyncio.run(get())


@pytest.fixture(params=[get_past_sync, get_past_async], ids=["sync", "async"])
def get_past(request: pytest.FixtureRequest) -> GetPast:
    """Both clients in turn."""
    found: GetPast = request.param
    return found


@pytest.fixture(params=[get_sync, get_async], ids=["sync", "async"])
def get(request: pytest.FixtureRequest) -> Get:
    """Both clients keep the rules."""
    found: Get = request.param
    return found


def own_address() -> str:
    """An address of this machine that is not loopback. Skips where there is none."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])
    pytest.skip("this machine has no address but loopback")


@pytest.mark.proves("own-address")
@pytest.mark.parametrize("policy", ["public", "private"])
@pytest.mark.parametrize("form", ["{}", "[::ffff:{}]", "twin.test"])
def test_an_address_of_this_machine_is_loopback_by_another_name(get: Get, policy: Egress, form: str) -> None:
    """A service that listens on all addresses is reached through any of them."""
    address = own_address()
    resolver = ChangingResolver([address])
    with serving("0.0.0.0") as server:
        url = server.url("/x", host=form.format(address))
        with pytest.raises(EgressRefusedError, match="is an address of this machine"):
            get(policy, url, resolver=resolver)
        assert server.calls == []
        assert get("any", url, resolver=resolver)[0].status_code == 200


def redis_names(address: str) -> list[str]:
    """Hosts that lead to a server on this machine that listens on all its addresses."""
    return ["127.0.0.1", "localhost", "127.0.0.2", "[::ffff:127.0.0.1]", "2130706433", address, "twin.test"]


@pytest.mark.proves("redis-called")
@pytest.mark.parametrize("redis", ["127.0.0.1", "localhost", "own address", "cache.test"])
def test_the_server_of_redis_url_is_never_a_target(get_past: GetPast, redis: str) -> None:
    """Under any name of the machine that it runs on: only the operator can write there."""
    address = own_address()
    where = address if redis == "own address" else redis

    def resolver(name: str, port: int) -> Sequence[str]:
        known = {"twin.test": [address], "cache.test": ["127.0.0.1"]}
        return known[name] if name in known else system_resolver(name, port)

    with serving("0.0.0.0") as server, serving() as other:
        forbidden = ForbiddenTarget(where, server.port, "the server of REDIS_URL")
        for host in [*redis_names(address), where]:
            with pytest.raises(EgressRefusedError, match="it is the server of REDIS_URL"):
                get_past(forbidden, server.url("/x", host=host), resolver)
        assert server.calls == []
        assert get_past(forbidden, other.url("/x"), resolver).status_code == 200


def test_another_machine_with_the_same_port_may_be_called(get_past: GetPast) -> None:
    """Only the server itself is out of reach, not everybody else's port 6379."""

    def resolver(name: str, port: int) -> Sequence[str]:
        return {"cache.test": ["10.255.255.1"], "elsewhere.test": ["127.0.0.1"]}[name]

    with serving() as server:
        forbidden = ForbiddenTarget("cache.test", server.port, "the server of REDIS_URL")
        url = server.url("/x", host="elsewhere.test")
        assert get_past(forbidden, url, resolver).status_code == 200


@pytest.mark.parametrize(
    ("redis_url", "expected"),
    [
        ("redis://cache.test/0", ("cache.test", 6379)),
        ("rediss://user:pass@cache.test:7000", ("cache.test", 7000)),
        ("redis://[::1]:6380/1", ("::1", 6380)),
        ("unix:///run/redis.sock", None),
    ],
)
def test_the_server_is_read_from_redis_url(redis_url: str, expected: tuple[str, int] | None) -> None:
    """With the port that Redis has by default. A unix socket cannot be reached over HTTP."""
    found = own_server(redis_url)
    assert (None if found is None else (found.host, found.port)) == expected


@pytest.mark.parametrize("url", NOTATIONS)
def test_no_notation_gets_past_either_client(get: Get, url: str) -> None:
    """A handler of a user's own calls the clients directly."""
    with pytest.raises((EgressRefusedError, httpx.InvalidURL)):
        get("any", url)


@pytest.mark.proves("address-changes")
def test_the_connection_is_made_to_the_address_that_was_checked(get: Get) -> None:
    """A resolver that changes its answer between check and connect is asked once."""
    resolver = ChangingResolver(["127.0.0.1"], ["169.254.169.254"])
    with serving() as server:
        (response,) = get("any", server.url("/x", host="rebinding.test"), resolver=resolver)
        assert response.json()["headers"]["host"] == f"rebinding.test:{server.port}"
    assert resolver.asked == 1


def test_a_later_answer_is_checked_again(get: Get) -> None:
    """A name is resolved and checked again for each new connection."""
    resolver = ChangingResolver(["127.0.0.1"], ["169.254.169.254"])
    with serving() as server:
        url = server.url("/x", host="rebinding.test")
        with pytest.raises(EgressRefusedError):
            get("any", url, url, resolver=resolver, keep=False)
        assert server.count("/x") == 1


@pytest.mark.proves("address-forbidden")
def test_of_several_addresses_only_allowed_ones_are_tried(get: Get) -> None:
    """A name that mixes a good and a bad address reaches the good one only."""
    resolver = ChangingResolver(["169.254.169.254", "::ffff:169.254.169.254", "127.0.0.1"])
    with serving() as server:
        (response,) = get("any", server.url("/x", host="mixed.test"), resolver=resolver)
        assert response.status_code == 200


@pytest.mark.proves("address-forbidden")
def test_a_name_whose_addresses_are_all_refused_is_not_called(get: Get) -> None:
    """Each address is refused for a reason of its own, and none is left."""
    resolver = ChangingResolver(["169.254.169.254", "127.0.0.1"])
    with serving() as server:
        with pytest.raises(EgressRefusedError):
            get("private", server.url("/x", host="mixed.test"), resolver=resolver)
        assert server.calls == []


@pytest.mark.proves("address-forbidden")
@pytest.mark.parametrize("host", ["169.254.169.254", "metadata.google.internal", "rebinding.test"])
def test_a_redirect_to_a_refused_address_is_refused_by_either_client(get: Get, host: str) -> None:
    """A client that follows redirects by itself keeps the rules for addresses and for names."""

    def resolver(name: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"] if name == "first.test" else ["169.254.169.254"]

    with serving() as server:
        server.answers("/a", Reply(status=302, headers={"Location": f"http://{host}:{server.port}/b"}))
        with pytest.raises(EgressRefusedError):
            get("any", server.url("/a", host="first.test"), resolver=resolver)
        assert [call.path for call in server.calls] == ["/a"]


def test_a_name_without_any_address_is_not_called(get: Get) -> None:
    """A name that resolves to nothing is refused."""
    with pytest.raises(EgressRefusedError):
        get("any", "http://empty.test/", resolver=ChangingResolver([]))


def test_unix_sockets_are_refused() -> None:
    """A socket in the file system has no address that the rules could check."""
    with pytest.raises(EgressRefusedError):
        GuardedBackend("any").connect_unix_socket("/var/run/docker.sock")
    with pytest.raises(EgressRefusedError):
        asyncio.run(AsyncGuardedBackend("any").connect_unix_socket("/var/run/docker.sock"))


def test_the_certificate_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connecting to a checked address must not weaken TLS: the name is sent, and verified."""
    names: list[str | None] = []
    context = ssl.create_default_context()

    class Recorded(httpcore.NetworkStream):
        def start_tls(
            self,
            ssl_context: ssl.SSLContext,
            server_hostname: str | None = None,
            timeout: float | None = None,
        ) -> httpcore.NetworkStream:
            names.append(server_hostname)
            raise httpcore.ConnectError("enough seen")

        def close(self) -> None:
            """Nothing is open."""

    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", lambda *_: Recorded())
    resolver = ChangingResolver(["127.0.0.1"])
    with (
        make_client("any", resolver=resolver, verify=context) as client,
        pytest.raises(httpx.ConnectError, match="enough seen"),
    ):
        client.get("https://named.test/")
    assert names == ["named.test"]
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
