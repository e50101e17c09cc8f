"""What a REDIS_URL may say.

Reasons never quote any of it: where a raw character splits it in the wrong place, the pieces are those of the
password.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from flowengine.settings.parsing import Parser, RefusedError

_SCHEMES: Final = ("redis", "rediss", "unix")
_OPTIONS: Final = {
    "db",
    "username",
    "password",
    "client_name",
    "socket_timeout",
    "socket_connect_timeout",
    "socket_keepalive",
    "health_check_interval",
    "max_connections",
}
_TLS_OPTIONS: Final = {
    "ssl_keyfile",
    "ssl_certfile",
    "ssl_password",
    "ssl_cert_reqs",
    "ssl_ca_certs",
    "ssl_ca_path",
    "ssl_ca_data",
    "ssl_check_hostname",
    "ssl_ciphers",
}
_OURS: Final = {
    "decode_responses",
    "protocol",
    "encoding",
    "encoding_errors",
    "retry_on_timeout",
    "retry_on_error",
}
_FILES: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_ca_path")
_SECONDS: Final = re.compile(r"(?=.*[1-9])([0-9]{1,9}(\.[0-9]{0,9})?|\.[0-9]{1,9})")
_COUNT: Final = re.compile(r"[0-9]{1,9}")
_YES_OR_NO: Final = re.compile(r"true|false|yes|no|[tfyn10]", re.IGNORECASE)
_VALUES: Final = {
    "db": (re.compile(r"[0-9]{1,9}"), "must be the number of a database"),
    "socket_timeout": (_SECONDS, "must be seconds, above 0"),
    "socket_connect_timeout": (_SECONDS, "must be seconds, above 0"),
    "health_check_interval": (_COUNT, "must be whole seconds"),
    "max_connections": (_COUNT, "must be a whole number"),
    "socket_keepalive": (_YES_OR_NO, "must be true or false"),
    "ssl_check_hostname": (_YES_OR_NO, "must be true or false"),
    "ssl_cert_reqs": (re.compile("none|optional|required"), "must be one of none, optional, required"),
    "client_name": (re.compile(r"[!-~]+"), "must have no spaces and only ASCII"),
}
"""What each option takes. redis-py reads some wrong ones as something else, and fails late on others."""
_ENCODED: Final = {"#": "%23", "/": "%2F", "?": "%3F", "[": "%5B", "]": "%5D", "@": "%40"}
_DATABASE: Final = re.compile(r"[0-9]{1,9}")


def redis_url() -> Parser:
    """A URL of Redis, as redis-py reads it, less what would break the engine or be read in another sense."""
    return Parser(_parse, "a URL that starts with " + ", ".join(f"{scheme}://" for scheme in _SCHEMES))


def _parse(text: str) -> str:
    scheme, separator, rest = text.partition("://")
    if not separator or scheme not in _SCHEMES:
        raise ValueError("not such a URL")
    if not text.isprintable() or " " in text:
        raise RefusedError("it holds a space or a control character: write it as %20 and the like")
    end = re.search(r"[/?#]", rest)
    authority, after = (rest[: end.start()], rest[end.start() :]) if end else (rest, "")
    _check_credentials(authority, after, is_socket=scheme == "unix")
    parts = urlsplit(text)
    _check_place(parts.hostname, parts.path, authority, is_socket=scheme == "unix")
    _check_options(parts.query, is_tls=scheme == "rediss")
    return text


def named_files(url: str) -> list[tuple[str, str]]:
    """The files and folders that a URL names: option and path."""
    query = urlsplit(url).query if url.startswith("rediss://") else ""
    return [(name, value) for name, value in parse_qsl(query) if name in _FILES]


def _check_credentials(authority: str, after: str, *, is_socket: bool) -> None:
    credentials, at, _ = authority.rpartition("@")
    raw = [character for character in "[]" if character in credentials]
    if not is_socket and not at and "@" in after:
        raw += [character for character in "/?#" if character in after.rpartition("@")[0]]
    if raw:
        signs = " and ".join(f"{character} as {_ENCODED[character]}" for character in raw)
        raise RefusedError(f"in its user name or password, write {signs}")
    if "#" in after:
        raise RefusedError("it holds a raw #, which begins no part of such a URL: write # as %23")


def _check_place(host: str | None, path: str, authority: str, *, is_socket: bool) -> None:
    if is_socket:
        if not path:
            raise RefusedError("it names no socket: unix:///path/of/the/socket")
        return
    if not host:
        raise RefusedError("it names no host")
    port = authority.rpartition("@")[2].rpartition("]")[2].partition(":")[2]
    if port and not (re.fullmatch(r"[0-9]{1,5}", port) and 0 < int(port) < 65536):
        raise RefusedError("its port is no number from 1 to 65535")
    if path not in ("", "/") and not _DATABASE.fullmatch(unquote(path[1:])):
        raise RefusedError("what follows the host must be the number of a database, as in /0")


def _check_options(query: str, *, is_tls: bool) -> None:
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name in _OURS:
            raise RefusedError(f"the option {name} is not yours to choose: leave it out")
        if name in _TLS_OPTIONS and not is_tls:
            raise RefusedError(f"the option {name} is for rediss://")
        if name not in _OPTIONS | _TLS_OPTIONS:
            raise RefusedError(
                f"it has an unknown option; known are {', '.join(sorted(_OPTIONS))} and ssl_..."
            )
        if name in _VALUES and not _VALUES[name][0].fullmatch(value):
            raise RefusedError(f"its option {name} {_VALUES[name][1]}")
