"""Secrets: found where they are set, and taken out of everything that leaves the worker."""

from __future__ import annotations

import base64
import html
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from flowengine.handlers.secrets.own_credentials import own_credentials
from flowengine.handlers.secrets.redaction import Secrets
from flowengine.jsonvalue import JsonValue, decode, encode
from flowengine.plugin import HandlerError
from flowengine.settings import Settings
from tests.support.cpu import least_cpu_s

CANARY = 'ca/na+ry "ü"\\ 42'


def escaped_u(text: str) -> str:
    """`\\u002b` for all but letters and digits, as .NET and Go write some of them."""
    return "".join(char if char.isascii() and char.isalnum() else ascii_json(char) for char in text)


def ascii_json(char: str) -> str:
    """One character as one or two `\\u` escapes."""
    units = char.encode("utf-16-be").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def handed_out(value: str = CANARY) -> Secrets:
    """Secrets, one of which was used."""
    secrets = Secrets({"FLOWENGINE_SECRET_KEY": value})
    secrets.lookup("KEY")
    return secrets


def test_a_secret_is_found_as_written_and_in_capitals() -> None:
    """`secrets.api_key` finds FLOWENGINE_SECRET_API_KEY."""
    secrets = Secrets({"FLOWENGINE_SECRET_API_KEY": "value-1", "FLOWENGINE_SECRET_own": "value-2"})
    assert (secrets.lookup("api_key"), secrets.lookup("own")) == ("value-1", "value-2")


def test_a_secret_file_is_read_again_each_time(tmp_path: Path) -> None:
    """Rotation needs no restart, and the old value stays redacted."""
    file = tmp_path / "key"
    file.write_text("first-value\n")
    secrets = Secrets({"FLOWENGINE_SECRET_KEY_FILE": str(file)})
    assert secrets.lookup("KEY") == "first-value"
    file.write_text("second-value\n")
    assert secrets.lookup("KEY") == "second-value"
    assert secrets.redact("first-value second-value") == "*** ***"


@pytest.mark.parametrize(
    ("environ", "name", "code"),
    [
        ({}, "KEY", "secret_missing"),
        ({}, "../KEY", "secret_missing"),
        ({"FLOWENGINE_SECRET_KEY_FILE": "/no/such/file"}, "KEY", "secret_unusable"),
        ({"FLOWENGINE_SECRET_KEY_FILE": "/dev/zero"}, "KEY", "secret_unusable"),
        ({"FLOWENGINE_SECRET_KEY": "abc"}, "KEY", "secret_unusable"),
        ({"FLOWENGINE_SECRET_KEY": ""}, "KEY", "secret_unusable"),
    ],
)
def test_a_secret_that_cannot_be_used_fails_the_node(environ: dict[str, str], name: str, code: str) -> None:
    """Missing, unreadable, or too short to be kept out of results."""
    with pytest.raises(HandlerError) as caught:
        Secrets(environ).lookup(name)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "shown",
    [
        CANARY,
        json.dumps(CANARY)[1:-1],
        encode(CANARY).decode()[1:-1],
        repr(CANARY)[1:-1],
        quote(CANARY),
        quote(CANARY, safe=""),
        quote(CANARY, safe="").lower(),
    ],
)
def test_a_secret_is_redacted_however_it_is_written(shown: str) -> None:
    """As it is, as JSON, URL-encoded, and as Python's repr shows it."""
    assert handed_out().redact(f"<{shown}>") == "<***>"


TOKEN = "Ab+/9&x<y>'z\\\"é€😀 q="


@pytest.mark.parametrize(
    "shown",
    [
        json.dumps(TOKEN, ensure_ascii=False).replace("/", r"\/")[1:-1],
        escaped_u(TOKEN),
        escaped_u(TOKEN).replace(r"\u", "U").upper().replace("U", r"\u"),
        html.escape(TOKEN),
        html.escape(html.escape(TOKEN)),
        TOKEN.replace("'", "&#39;").replace("&x", "&AMP;x").replace("<", "&lt;").replace("/", "&#x2F;"),
        html.escape(json.dumps(TOKEN)[1:-1]),
        json.dumps(json.dumps(json.dumps(TOKEN)[1:-1])[1:-1])[1:-1],
        quote(quote(TOKEN, safe=""), safe=""),
        quote(json.dumps(TOKEN)[1:-1], safe=""),
        quote_plus(TOKEN).lower(),
        str(TOKEN.encode())[2:-1],
        ascii(TOKEN)[1:-1],
        TOKEN.upper(),
        TOKEN.lower(),
        TOKEN.replace("+", " "),
        TOKEN.replace(" ", "\n\t "),
    ],
)
def test_a_secret_is_redacted_in_the_spellings_of_common_frameworks(shown: str) -> None:
    """PHP's `\\/`, .NET's `\\u002B`, Go's `\\u0026`, HTML, twice encoded, in capitals, collapsed."""
    assert handed_out(TOKEN).redact(f"<{shown}>") == "<***>"


ENCODERS: list[Callable[[str], str]] = [
    lambda text: json.dumps(text)[1:-1],
    lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    html.escape,
    lambda text: quote(text, safe=""),
    quote_plus,
    lambda text: repr(text)[1:-1],
    lambda text: " ".join(text.split()),
]
plausible: SearchStrategy[str] = st.text(
    st.characters(min_codepoint=32, max_codepoint=126) | st.sampled_from("é€😀\n\t"), min_size=4
).filter(lambda text: len(text.strip()) >= 4)


@pytest.mark.proves("secret-rewritten")
@given(plausible, st.lists(st.sampled_from(ENCODERS), max_size=2))
def test_a_secret_is_redacted_after_any_two_encoders(
    secret: str, encoders: list[Callable[[str], str]]
) -> None:
    """Whatever the secret is made of, since no list holds all mixtures."""
    shown = secret.strip()
    for encode_once in encoders:
        shown = encode_once(shown)
    assert handed_out(secret).redact(f"<{shown}>") == "<***>"


HOOK = "https://user:pass-word@Hooks.Example.com:443/services/T0/Bxyz?token=abcdef123"


@pytest.mark.parametrize(
    "shown",
    [
        HOOK,
        HOOK.lower(),
        "https://hooks.example.com:443/services/T0/Bxyz",
        "/services/T0/Bxyz?token=abcdef123",
        "/services/T0/Bxyz",
        "token=abcdef123",
        "pass-word",
    ],
)
def test_a_secret_that_is_a_url_is_redacted_in_part_too(shown: str) -> None:
    """Messages show it without its query and its user, services its path alone."""
    assert handed_out(HOOK).redact(f"GET {shown}: answered 404") == "GET ***: answered 404"


def test_of_a_url_that_is_no_secret_in_itself_short_paths_stay() -> None:
    """`/users` is in too many texts."""
    assert handed_out("http://internal.test/users").redact("GET /users/1 failed") == "GET /users/1 failed"


@pytest.mark.parametrize("charset", ["latin-1", "cp1252"])
@pytest.mark.parametrize(
    "secret", ["pass-\u00e9-tail", "\u20acuro\u00df", "key\u00fc", "\u201cquoted\u201d\u0153"]
)
@pytest.mark.parametrize("shown_by", [str, lambda text: json.dumps(text)[1:-1], quote, html.escape])
def test_a_secret_in_utf_8_that_was_read_as_latin_1_is_redacted(
    secret: str, charset: str, shown_by: Callable[[str], str]
) -> None:
    """As many services read headers. What windows-1252 has no character for stays Latin-1."""
    misread = "".join(bytes([octet]).decode(charset, "ignore") or chr(octet) for octet in secret.encode())
    assert misread != secret
    assert handed_out(secret).redact(f"<{shown_by(misread)}>") == "<***>"


def test_white_space_around_a_secret_is_not_part_of_it() -> None:
    """Header values are sent without it."""
    assert handed_out("\n canary-1 \n").redact("bad token canary-1.") == "bad token ***."
    with pytest.raises(HandlerError, match="shorter than 4"):
        handed_out("  abc  ")


@pytest.mark.parametrize("around", [("", ""), ("me:", ""), ("user", ":x"), ("ab", "cd")])
@pytest.mark.parametrize("encoder", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_secret_inside_base64_is_redacted(around: tuple[str, str], encoder: object) -> None:
    """Basic authentication shows it at any of three alignments."""
    assert callable(encoder)
    encoded: bytes = encoder(f"{around[0]}{CANARY}{around[1]}".encode())
    redacted = handed_out().redact(f"Basic {encoded.decode()}")
    assert "***" in redacted
    assert base64.b64encode(CANARY.encode()[3:-3]).decode() not in redacted


def test_base64_is_redacted_in_the_spellings_of_others() -> None:
    """PHP writes its slashes as `\\/`, a URL its plus signs as `%2B`."""
    value = "\xfb\xff\xbe canary \xfb\xff\xbe"
    encoded = base64.b64encode(value.encode()).decode()
    assert "/" in encoded or "+" in encoded
    for shown in (encoded.replace("/", r"\/"), quote(encoded, safe=""), encoded.replace("+", r"\u002B")):
        assert "***" in handed_out(value).redact(shown)


def test_a_secret_is_redacted_without_being_handed_out(tmp_path: Path) -> None:
    """Another process may have handed it out: a service then repeats it to this one."""
    file = tmp_path / "key"
    file.write_text("filed-secret\n")
    secrets = Secrets({"FLOWENGINE_SECRET_KEY": CANARY, "FLOWENGINE_SECRET_FILED_FILE": str(file)})
    assert secrets.redact(f"{CANARY} filed-secret") == "*** ***"
    assert secrets.redact_json(encode([CANARY, "filed-secret"])) == encode(["***", "***"])


def test_a_changed_file_is_known_before_this_process_hands_it_out(tmp_path: Path) -> None:
    """Another process reads the new secret first. One that was not there at the start counts too."""
    file, late = tmp_path / "key", tmp_path / "late"
    file.write_text("first-value\n")
    secrets = Secrets({"FLOWENGINE_SECRET_A_FILE": str(file), "FLOWENGINE_SECRET_B_FILE": str(late)})
    file.write_text("second-value!\n")
    late.write_text("late-value")
    assert secrets.redact("first-value second-value! late-value") == "*** *** ***"
    late.write_text("newest-value")
    assert secrets.redact_json(b'["newest-value"]') == b'["***"]'


def test_a_path_is_shown_unless_it_may_be_the_secret_itself(tmp_path: Path) -> None:
    """A secret that stands where a path belongs is no readable file."""
    file = tmp_path / "key"
    file.write_text("filed-secret")
    secrets = Secrets({"FLOWENGINE_SECRET_A_FILE": str(file), "FLOWENGINE_SECRET_B_FILE": "s3cr3t-value"})
    assert secrets.redact(f"{file} s3cr3t-value") == f"{file} ***"
    with pytest.raises(HandlerError) as caught:
        secrets.lookup("A_FILE")
    assert caught.value.code == "secret_missing"


def test_a_pipe_or_a_folder_is_no_secret_file(tmp_path: Path) -> None:
    """Neither may hold the start of a worker up."""
    os.mkfifo(tmp_path / "pipe")
    paths = {"FLOWENGINE_SECRET_A_FILE": str(tmp_path / "pipe"), "FLOWENGINE_SECRET_B_FILE": str(tmp_path)}
    secrets = Secrets(paths)
    for name in ("A", "B"):
        with pytest.raises(HandlerError) as caught:
            secrets.lookup(name)
        assert caught.value.code == "secret_unusable"
        assert "it is no regular file" in caught.value.message


def test_unusable_secrets_are_logged_by_name() -> None:
    """When a worker starts, and not only when a node asks."""
    environ = {"FLOWENGINE_SECRET_GOOD": "good-secret", "FLOWENGINE_SECRET_BAD": "abc"}
    with structlog.testing.capture_logs() as logged:
        Secrets({**environ, "FLOWENGINE_SECRET_GONE_FILE": "/no/such/file"}).warn_of_unusable()
    assert [line["secret"] for line in logged] == ["BAD", "GONE"]
    assert "abc" not in str(logged)


@pytest.mark.parametrize(
    ("redis_url", "llm_base_url", "hidden"),
    [
        ("redis://:pass-of-redis@host:6379/0", None, ["pass-of-redis"]),
        ("rediss://user:p%40ss%2Fword@host", None, ["p%40ss%2Fword", "p@ss/word"]),
        ("redis://host/0?password=asked-for", None, ["asked-for"]),
        ("redis://:with/slash#and?mark@host", None, ["with/slash#and?mark"]),
        ("redis://host", "https://user:pass-of-llm@host/v1", ["pass-of-llm"]),
        ("redis://host", "https://a-long-token@host/v1", ["a-long-token"]),
        ("redis://host", "https://host/v1?api-version=2024-10-21&api_key=k3y-value", ["k3y-value"]),
        ("redis://user@host", "https://host/v1", []),
    ],
)
def test_credentials_inside_addresses_are_secrets(
    redis_url: str, llm_base_url: str | None, hidden: list[str]
) -> None:
    """Passwords, as written and decoded, and what a query calls a key; not hosts, users and versions."""
    settings = Settings(redis_url=redis_url, llm_base_url=llm_base_url)
    assert own_credentials(settings) == hidden


def test_the_key_of_webhooks_is_a_secret_with_and_without_its_prefix() -> None:
    """A receiver may repeat either."""
    assert own_credentials(Settings(webhook_key="whsec_a2V5")) == ["whsec_a2V5", "a2V5"]


def test_the_workers_own_credentials_are_redacted_without_being_handed_out() -> None:
    """A service may repeat the key that it refuses."""
    secrets = Secrets({}, own=[CANARY, "abc"])
    assert secrets.redact(f"answered 401: no such key: {CANARY}") == "answered 401: no such key: ***"
    assert secrets.redact("abc") == "abc"


def test_a_result_is_redacted_in_texts_keys_and_numbers_and_stays_json() -> None:
    """A secret of digits inside a number must not break the document."""
    secrets = handed_out("4711")
    document = {"4711": 14711, "a": ["x4711", 1.5, True, None], "b": 4711.5}
    redacted = decode(secrets.redact_json(encode(document)))
    assert redacted == {"***": "1***", "a": ["x***", 1.5, True, None], "b": "***.5"}


def test_a_secret_hidden_behind_json_escapes_is_found() -> None:
    """`\\u0063anary` is canary."""
    assert handed_out("canary").redact_json(rb'["\u0063anary"]') == b'["***"]'


def test_a_longer_secret_wins_over_one_that_it_contains() -> None:
    """Otherwise the rest of the longer one would be shown."""
    secrets = Secrets({"FLOWENGINE_SECRET_A": "pass", "FLOWENGINE_SECRET_B": "pass-word"})
    secrets.lookup("A")
    secrets.lookup("B")
    assert secrets.redact("pass-word pass") == "*** ***"


@given(st.text(min_size=4).filter(lambda text: len(text.strip()) >= 4), st.text(), st.text())
def test_no_written_result_ever_holds_the_secret(secret: str, before: str, after: str) -> None:
    """Whatever the secret and its surroundings are, the encoded result does not show it."""
    secrets = handed_out(secret)
    shown = secrets.redact_json(encode({"error": f"{before}{secret}{after}"}))
    text = decode(shown)
    assert isinstance(text, dict)
    assert all(secret.strip() not in part for part in str(text["error"]).split("***"))


@pytest.mark.parametrize(
    "cut",
    [
        "canary-s...",
        "the key is canary-secr... (900 characters)",
        "text 'canary-s'...",
        "CANARY-S...",
        "canary%2Ds...",
        "canary%2...",
        r"canary\u002d...",
        r"canary\u00...",
        "canary&#45;secr...",
    ],
)
def test_start_of_a_secret_before_a_cut_is_replaced(cut: str) -> None:
    """An excerpt that ends inside a secret does not show how it begins."""
    secrets = Secrets({"FLOWENGINE_SECRET_KEY": "canary-secret-value"})
    secrets.lookup("KEY")
    assert "canary" not in secrets.redact(cut)
    assert "***" in secrets.redact(cut)


def test_a_cut_without_a_secret_stays_as_it_is() -> None:
    """Before a cut, only the start of a secret is replaced."""
    secrets = Secrets({"FLOWENGINE_SECRET_KEY": "canary-secret-value"})
    secrets.lookup("KEY")
    text = "an answer of can... and more ... characters"
    assert secrets.redact(text) == text


def test_two_keys_that_held_secrets_become_one() -> None:
    """A document with one key twice would mean something else to each reader."""
    secrets = handed_out("canary")
    assert secrets.redact_json(b'{"canary":1,"CANARY":[2],"b":"canary"}') == b'{"***":[2],"b":"***"}'


def test_a_deep_result_is_searched_as_any_other() -> None:
    """Such a result once failed as an internal error."""
    value: list[object] = ["a\\b canary"]
    for _ in range(900):
        value = [value]
    redacted = handed_out("canary").redact_json(encode(value))
    assert redacted == encode(value).replace(b"canary", b"***")


@pytest.mark.parametrize(
    "document",
    [
        {"a": ["no secret", 1, -1.5e300, True, None, '\\u0041 \\\\ " \n']},
        ["cana", "ry", "can...", "", "\\"],
        [[], {}, "ü😀"],
    ],
)
def test_what_holds_no_secret_comes_back_as_it_is(document: object) -> None:
    """The result is the same, byte for byte."""
    assert handed_out("canary").redact_json(encode(document)) == encode(document)


json_values: SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def texts_in(value: JsonValue) -> list[str]:
    """Every text and key."""
    if isinstance(value, dict):
        return [*value, *(text for item in value.values() for text in texts_in(item))]
    if isinstance(value, list):
        return [text for item in value for text in texts_in(item)]
    return [value] if isinstance(value, str) else []


@given(json_values, st.sampled_from(["0000", 'a"\\n', "true", "e+10", "\\\\\\\\", "aaaa"]))
def test_a_redacted_document_is_json_of_the_same_shape(value: JsonValue, secret: str) -> None:
    """Whatever is replaced in it."""
    document: JsonValue = {"secret": [secret, {secret: f"x{secret}"}], "value": value}
    redacted = decode(handed_out(secret).redact_json(encode(document)))
    assert isinstance(redacted, dict)
    assert redacted["secret"] == ["***", {"***": "x***"}]
    assert all(secret.lower() not in text.lower() for text in texts_in(redacted["value"]))


def test_many_secrets_cost_little_where_none_is() -> None:
    """Forty secrets and a megabyte: every result of every node is searched."""
    environ = {f"FLOWENGINE_SECRET_S{count}": f"{count}{'/+secret' * 5}{count}" for count in range(40)}
    secrets = Secrets(environ)
    for count in range(40):
        secrets.lookup(f"S{count}")
    data = encode({"data": "abcdefghijklmnopqrstuvwxyz0123456789" * 29_000})

    def search() -> None:
        assert secrets.redact_json(data) is data

    assert least_cpu_s(search, below=1.0) < 1.0


@pytest.mark.parametrize("text", ["\\", "%5c", "%25", "&amp;", " ", "+", '"', "%"])
def test_no_text_makes_the_search_slow(text: str) -> None:
    """Endless escapes of escapes are searched once, and not again from every position."""
    secrets = handed_out('"a b\\c" %&+')
    started = time.thread_time()
    secrets.redact(text * (300_000 // len(text)) + " a b c")
    assert time.thread_time() - started < 10
