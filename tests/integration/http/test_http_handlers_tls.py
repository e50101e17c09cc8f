"""Certificates: which are trusted, and what a refused one means."""

from __future__ import annotations

import os
import ssl
from contextlib import closing
from pathlib import Path

import pytest
import trustme

from flowengine.errors import SettingsError
from flowengine.handlers.handler_settings import load_handler_settings
from flowengine.handlers.http.network.trusted_authorities import trusted_authorities
from flowengine.handlers.invoking.invoker import Invoker
from flowengine.handlers.loading import load_registry
from flowengine.plugin import HandlerError
from flowengine.settings import Settings
from tests.support.rigs.handler_runs import Runs
from tests.support.servers.http_server import serving
from tests.support.servers.raw_answers import answering

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """An authority that nobody else trusts."""
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    """Its certificate, as FLOWENGINE_CA_FILE would name it."""
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


def server_tls(authority: trustme.CA, name: str) -> ssl.SSLContext:
    """What a server of that name needs to speak https."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def fetched(trust: ssl.SSLContext | None, url: str, runs: Runs) -> object:
    """The data of a call by a worker that trusts so."""
    registry = load_registry()
    handler = registry.get("http_request")
    assert handler is not None
    settings = load_handler_settings(registry, Settings(retry_base_s=0.01), {})
    with closing(Invoker(egress="any", settings=settings, trust=trust)) as invoker:
        context = runs.context()
        called = type(context)(
            **{name: getattr(context, name) for name in context.__struct_fields__ if "http" not in name},
            http=invoker.http,
            async_http=invoker.async_http,
        )
        return getattr(invoker.invoke(handler, {"url": url}, called), "data")  # noqa: B009 - an object to callers


def test_an_authority_of_ones_own_is_trusted(authority: trustme.CA, ca_file: Path, runs: Runs) -> None:
    """FLOWENGINE_CA_FILE adds it to the usual ones."""
    trust = trusted_authorities(str(ca_file), {})
    assert trust is not None
    assert len(trust.get_ca_certs()) > 50
    with answering(OK, tls=server_tls(authority, "127.0.0.1")) as url:
        assert fetched(trust, url, runs) == "ok"


def test_ssl_cert_file_is_read_from_the_settings_too(
    authority: trustme.CA, ca_file: Path, runs: Runs
) -> None:
    """From `.env` as from the environment; it stands in place of the usual ones, as in other programs."""
    trust = trusted_authorities(None, {"SSL_CERT_FILE": str(ca_file)})
    assert trust is not None
    assert len(trust.get_ca_certs()) == 1
    with answering(OK, tls=server_tls(authority, "127.0.0.1")) as url:
        assert fetched(trust, url, runs) == "ok"


def test_a_certificate_of_an_unknown_authority_is_refused_at_once(authority: trustme.CA, runs: Runs) -> None:
    """It will be the same at the next try. The error says what to set."""
    with answering(OK, tls=server_tls(authority, "127.0.0.1")) as url, pytest.raises(HandlerError) as caught:
        runs.run("http_request", {"url": url})
    assert caught.value.code == "connection_failed"
    assert len(caught.value.errors) == 1
    assert "its certificate is refused" in caught.value.message
    assert "FLOWENGINE_CA_FILE" in caught.value.message


def test_a_certificate_of_another_name_is_refused_at_once(
    authority: trustme.CA, ca_file: Path, runs: Runs
) -> None:
    """No setting helps here."""
    trust = trusted_authorities(str(ca_file), {})
    tls = server_tls(authority, "other.test")
    with answering(OK, tls=tls) as url, pytest.raises(HandlerError) as caught:
        fetched(trust, url, runs)
    assert len(caught.value.errors) == 1
    assert "IP address mismatch" in caught.value.message
    assert "FLOWENGINE_CA_FILE" not in caught.value.message


def test_a_service_that_does_not_speak_https_is_refused_at_once(runs: Runs) -> None:
    """The two will not agree at the next try either."""
    with serving() as server, pytest.raises(HandlerError) as caught:
        runs.run("http_request", {"url": server.url("/").replace("http:", "https:")})
    assert caught.value.code == "connection_failed"
    assert len(caught.value.errors) == 1
    assert "does the service speak https there?" in caught.value.message


@pytest.mark.parametrize("setting", ["FLOWENGINE_CA_FILE", "SSL_CERT_FILE"])
@pytest.mark.parametrize("case", ["missing", "folder", "fifo", "empty", "no certificate", "a key"])
def test_a_file_that_is_no_certificate_stops_the_start(
    setting: str, case: str, authority: trustme.CA, tmp_path: Path
) -> None:
    """Not the first call. The message names the setting and the path."""
    path = tmp_path / "ca.pem"
    match case:
        case "folder":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "empty":
            path.write_bytes(b"")
        case "no certificate":
            path.write_bytes(b"\xff\0hello")
        case "a key":
            authority.private_key_pem.write_to_path(path)
    given = {setting: str(path)}
    with pytest.raises(SettingsError) as caught:
        trusted_authorities(given.get("FLOWENGINE_CA_FILE"), given)
    assert f"{setting} names '{path}'" in str(caught.value)


def test_a_folder_of_certificates_must_be_one(tmp_path: Path) -> None:
    """SSL_CERT_DIR is checked as well."""
    with pytest.raises(SettingsError, match="SSL_CERT_DIR names"):
        trusted_authorities(None, {"SSL_CERT_DIR": str(tmp_path / "none")})
    assert trusted_authorities(None, {"SSL_CERT_DIR": str(tmp_path)}) is not None


def test_nothing_set_means_the_usual_authorities() -> None:
    """And nothing is read at the start."""
    assert trusted_authorities(None, {}) is None
