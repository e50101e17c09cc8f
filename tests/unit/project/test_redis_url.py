"""REDIS_URL: what is refused when a process starts, and that no piece of a password is shown."""

from __future__ import annotations

import pytest

from flowengine.errors import SettingsError
from flowengine.settings import load_settings


@pytest.mark.proves("url-quoted")
@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("redis://h/0?decode_responses=True", "the option decode_responses is not yours to choose"),
        ("redis://h?protocol=3", "the option protocol is not yours to choose"),
        ("unix:///s?encoding=latin-1", "the option encoding is not yours to choose"),
        ("redis://h?ssl_ca_certs=x", "the option ssl_ca_certs is for rediss://"),
        ("redis://h?hunter2=x", "it has an unknown option; known are client_name, db, "),
        ("redis://h?db=-1", "its option db must be the number of a database"),
        ("redis://h?socket_timeout=0", "its option socket_timeout must be seconds, above 0"),
        ("redis://h?socket_connect_timeout=hun", "its option socket_connect_timeout must be seconds"),
        ("redis://h?health_check_interval=1.5", "its option health_check_interval must be whole seconds"),
        ("redis://h?max_connections=-1", "its option max_connections must be a whole number"),
        ("redis://h?socket_keepalive=maybe", "its option socket_keepalive must be true or false"),
        ("redis://h?client_name=hun%20ter2", "its option client_name must have no spaces"),
        ("redis://h?timeout=1", "it has an unknown option"),
        ("rediss://h?ssl_cert_reqs=CERT_NONE", "its option ssl_cert_reqs must be one of none, optional"),
        ("rediss://h?ssl_check_hostname=maybe", "its option ssl_check_hostname must be true or false"),
        ("rediss://h?ssl_min_version=771", "it has an unknown option"),
        ("redis://h/x", "what follows the host must be the number of a database"),
        ("redis://h/-1", "what follows the host must be the number of a database"),
        ("redis://h/0/1", "what follows the host must be the number of a database"),
        ("redis://h:0/0", "its port is no number from 1 to 65535"),
        ("redis://h:66666", "its port is no number"),
        ("redis://h:port", "its port is no number"),
        ("redis://:@/0", "it names no host"),
        ("unix://", "it names no socket"),
        ("redis://:hun#ter2@h/0", "in its user name or password, write # as %23"),
        ("redis://:hun/ter2@h/0", "in its user name or password, write / as %2F"),
        ("redis://:hun?ter2@h/0", "in its user name or password, write ? as %3F"),
        ("redis://:hun[ter2@h/0", "in its user name or password, write [ as %5B"),
        ("redis://:[hun]ter2@h/0", "write [ as %5B and ] as %5D"),
        ("redis://:hun]#/ter2@h/0", "write / as %2F and # as %23"),
        ("redis://:hun@x/ter2@h/0", "what follows the host must be the number of a database"),
        ("redis://h/0#hunter2", "it holds a raw #"),
        ("redis://:hun ter2@h/0", "it holds a space"),
        ("redis://:hun\tter2@h/0", "it holds a space or a control character"),
    ],
)
def test_url_that_would_break_or_be_read_otherwise_is_refused(url: str, reason: str) -> None:
    """The reason says what to write, and shows nothing of the URL."""
    with pytest.raises(SettingsError) as caught:
        load_settings({"REDIS_URL": url}, None)
    message = str(caught.value)
    assert message.startswith("REDIS_URL must be a URL that starts with redis://, rediss://, unix://; ")
    assert reason in message
    assert not [piece for piece in ("hun", "ter2", "66666", "port]") if piece in message]


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "redis://localhost:6379/15",
        "redis://user:p%23%2F%5B@h/0",
        "redis://:p@ss:w%rd!$&'()*+,;=@h:1/0",
        "redis://[::1]:6379/0",
        "redis://:p@[::1]/0",
        "rediss://h:6380/0?ssl_cert_reqs=none&ssl_ca_certs=/etc/ca.pem",
        "redis://h?db=3&socket_timeout=5&client_name=a%40b&health_check_interval=10",
        "redis://h?socket_timeout=.5&socket_connect_timeout=2.&socket_keepalive=T",
        "unix:///run/redis.sock?db=0",
        "unix://user:secret@/run/redis.sock",
        "unix:///run/with@sign.sock",
    ],
)
def test_every_other_form_is_taken(url: str) -> None:
    """As redis-py reads it."""
    assert load_settings({"REDIS_URL": url}, None).redis_url == url
