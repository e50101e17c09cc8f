"""No message quotes a part of a secret: what is shown of an address is redacted before it is cut."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import msgspec
import pytest

from flowengine.handlers.handler_settings import load_handler_settings
from flowengine.handlers.invoking.invoker import Invoker
from flowengine.handlers.loading import load_registry
from flowengine.handlers.secrets.redaction import Secrets
from flowengine.jsonvalue import JsonValue
from flowengine.plugin import Context, Handler, HandlerError, handler
from flowengine.plugin.registry import marked
from flowengine.settings import Settings
from tests.support.rigs.handler_runs import Runs
from tests.support.servers.http_server import Reply, serving
from tests.support.servers.valkey import free_port

PARTS = ("canary-a", "canary-b", "canary-c")


class Fetch(msgspec.Struct):
    """What to fetch."""

    url: str


@handler("fetch")
def fetch(config: Fetch, context: Context) -> str:
    """As a user's handler would."""
    response = context.http().get(config.url)
    response.raise_for_status()
    return response.text


@handler("fetch_async")
async def fetch_async(config: Fetch, context: Context) -> str:
    """The same on the event loop."""
    response = await context.async_http().get(config.url)
    response.raise_for_status()
    return response.text


def built_in() -> Handler:
    """`http_request`."""
    found = load_registry().get("http_request")
    assert found is not None
    return found


def shown(runs: Runs, called: Handler, config: dict[str, JsonValue], secret: str) -> str:
    """All that a failed call says to the outside, where `secret` is one, after redaction."""
    secrets = Secrets({}, own=[secret])
    settings = load_handler_settings(load_registry(), Settings(retry_base_s=0.01), {})
    with closing(Invoker(egress="any", settings=settings, redact=secrets.redact)) as invoker:
        context = runs.context()
        given = type(context)(
            **{name: getattr(context, name) for name in context.__struct_fields__ if "http" not in name},
            http=invoker.http,
            async_http=invoker.async_http,
        )
        with pytest.raises(HandlerError) as caught:
            invoker.invoke(called, config, given)
    texts = [caught.value.message, *(error.message for error in caught.value.errors), str(runs.log.events)]
    return "\n".join(secrets.redact(text) for text in texts)


HANDLERS: dict[str, Callable[[], Handler | None]] = {
    "built in": built_in,
    "sync": lambda: marked(fetch),
    "async": lambda: marked(fetch_async),
}
URLS: dict[str, tuple[str, str]] = {
    "a password with ?": ("http://user:{}@127.0.0.1:1/", "canary-a?canary-b-tail"),
    "a password with /": ("http://user:{}@127.0.0.1:1/", "canary-a/canary-b-tail"),
    "a password with #": ("http://user:{}@127.0.0.1:1/", "canary-a#canary-b-tail"),
    "a password that begins with a port": ("http://canary-c:{}@127.0.0.1:1/", "1234?canary-b-tail"),
    "a password with [": ("http://user:{}@127.0.0.1:1/", "canary-a[canary-b-tail"),
    "a host and a path": ("http://{}", "canary-a.invalid/canary-b-tail"),
    "a host that does not resolve": ("http://{}/x", "canary-a.invalid:1/canary-b"),
    "a host and a query": ("http://{}", "canary-a.invalid?canary-b"),
    "a host that no domain may have": ("http://{}/", "canary-a\u00ad\u2260.invalid/canary-b-tail"),
    "a host that is too long": ("http://{}/", "canary-a" * 40 + ".invalid/canary-b"),
    "a host that listens to nothing": ("http://{}", "127.0.0.1:1/canary-a?canary-b"),
    "a port": ("http://127.0.0.1:{}/", "canary-a/canary-b"),
    "a part of a path": ("http://127.0.0.1:1/v1/{}/x", "canary-a?canary-b"),
    "the whole address": ("{}", "canary-a:canary-b/canary-c"),
    "a scheme": ("{}", "canary-a://canary-b/canary-c"),
    "a refused address": ("http://{}", "169.254.169.254/canary-a?canary-b"),
    "a fragment": ("http://127.0.0.1:1/{}", "canary-a#canary-b"),
}


@pytest.mark.proves("secret-cut")
@pytest.mark.parametrize("name", HANDLERS)
@pytest.mark.parametrize("case", URLS)
def test_no_part_of_a_secret_in_an_address_is_quoted(
    runs: Runs, case: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ours, httpx's and the resolver's messages quote hosts, ports and paths, each a part of the secret."""
    template, secret = URLS[case]
    found = HANDLERS[name]()
    assert found is not None
    said = shown(runs, found, {"url": template.format(secret)}, secret)
    logged = capsys.readouterr().out  # by structlog, which nobody has configured here
    said = f"{said}\n{Secrets({}, own=[secret]).redact(logged)}".lower()
    assert not [part for part in PARTS if part in said and part in secret]


def test_a_host_that_is_no_secret_is_named(runs: Runs) -> None:
    """An error that hides everything helps nobody."""
    said = shown(runs, built_in(), {"url": "http://no-such.invalid/a?key=canary-a-tail"}, "canary-a-tail")
    assert "GET http://no-such.invalid/a: could not connect: cannot resolve no-such.invalid" in said


@pytest.mark.parametrize(
    "config",
    [
        {"method": "GET canary-a-tail"},
        {"method": "canary-a-tail"},
        {"headers": {"x" * 55 + " canary-a-tail": "1"}},
        {
            "headers": {"Content-Type": "application/x-www-form-urlencoded"},
            "body": {"x" * 55 + "canary-a-tail": {}},
        },
        {"files": {"x" * 55 + "canary-a-tail": {"filename": "x", "content": 1, "encoding": "base64"}}},
        {"headers": {"Content-Type": "text/xml" + "x" * 45 + "canary-a-tail+xml"}, "body": {}},
    ],
)
def test_no_part_of_a_secret_elsewhere_in_a_request_is_quoted(
    runs: Runs, config: dict[str, JsonValue]
) -> None:
    """Names that are quoted in part are redacted before they are cut."""
    url = f"http://127.0.0.1:{free_port()}/"
    assert "cana" not in shown(runs, built_in(), {"url": url, **config}, "canary-a-tail")


def test_no_part_of_a_secret_that_a_service_repeats_is_quoted(runs: Runs) -> None:
    """In its body, its Content-Encoding or its Location."""
    secret = "canary-a?canary-b-tail"
    replies = [
        Reply(status=500, body=b"x" * 290 + secret.encode()),
        Reply(headers={"Content-Encoding": "x" * 55 + secret}, body=b"x"),
        Reply(status=302, headers={"Location": f"http://user:{secret}@a.test/"}),
        Reply(status=302, headers={"Location": f"http://{secret}.invalid/"}),
    ]
    with serving() as server:
        for at, reply in enumerate(replies):
            server.answers(f"/{at}", reply)
            said = shown(runs, built_in(), {"url": server.url(f"/{at}")}, secret)
            assert "canary" not in said
