"""Secrets: found where they are set, and taken out of everything that leaves the worker."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowengine.handlers.secrets import Secrets
from flowengine.jsonvalue import decode, encode
from flowengine.plugin import HandlerError

CANARY = 'ca/na+ry "ü"\\ 42'


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


@pytest.mark.parametrize("around", [("", ""), ("me:", ""), ("user", ":x"), ("ab", "cd")])
@pytest.mark.parametrize("encoder", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_secret_inside_base64_is_redacted(around: tuple[str, str], encoder: object) -> None:
    """Basic authentication shows it at any of three alignments."""
    assert callable(encoder)
    encoded: bytes = encoder(f"{around[0]}{CANARY}{around[1]}".encode())
    redacted = handed_out().redact(f"Basic {encoded.decode()}")
    assert "***" in redacted
    assert base64.b64encode(CANARY.encode()[3:-3]).decode() not in redacted


def test_only_what_was_handed_out_is_redacted() -> None:
    """A worker that used no secret changes nothing."""
    secrets = Secrets({"FLOWENGINE_SECRET_KEY": CANARY})
    assert secrets.redact(CANARY) == CANARY
    assert secrets.redact_json(encode([CANARY])) == encode([CANARY])


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


@given(st.text(min_size=4), st.text(), st.text())
def test_no_written_result_ever_holds_the_secret(secret: str, before: str, after: str) -> None:
    """Whatever the secret and its surroundings are, the encoded result does not show it."""
    secrets = handed_out(secret)
    shown = secrets.redact_json(encode({"error": f"{before}{secret}{after}"}))
    text = decode(shown)
    assert isinstance(text, dict)
    assert all(secret not in part for part in str(text["error"]).split("***"))


@pytest.mark.parametrize(
    "cut", ["canary-s...", "the key is canary-secr... (900 characters)", "text 'canary-s'..."]
)
def test_start_of_a_secret_before_a_cut_is_replaced(cut: str) -> None:
    """An excerpt that ends inside a secret does not show how it begins."""
    secrets = Secrets({"FLOWENGINE_SECRET_KEY": "canary-secret-value"})
    secrets.lookup("KEY")
    assert "canary" not in secrets.redact(cut)
    assert "***" in secrets.redact(cut)


def test_a_cut_without_a_secret_stays_as_it_is() -> None:
    """Nothing but the start of a secret is taken out before a cut."""
    secrets = Secrets({"FLOWENGINE_SECRET_KEY": "canary-secret-value"})
    secrets.lookup("KEY")
    text = "an answer of can... and more ... characters"
    assert secrets.redact(text) == text
