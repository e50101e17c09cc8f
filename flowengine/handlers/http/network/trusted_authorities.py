"""The authorities whose certificates a worker trusts: checked when it starts, not at the first call.

The usual ones are those of the package `certifi`, or what SSL_CERT_FILE and SSL_CERT_DIR name in their place,
as other programs read them. FLOWENGINE_CA_FILE adds to them.
"""

from __future__ import annotations

import ssl
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from flowengine.errors import SettingsError

CA_FILE: Final = "FLOWENGINE_CA_FILE"
_USUAL_FILE: Final = "SSL_CERT_FILE"
_USUAL_FOLDER: Final = "SSL_CERT_DIR"
_MAX_BYTES: Final = 16 * 1024 * 1024


def trusted_authorities(ca_file: str | None, variables: Mapping[str, str]) -> ssl.SSLContext | None:
    """What certificates are verified with; None if nothing is set, for the usual ones.

    Raises SettingsError, which names the setting and the path, for what cannot be read or is no certificate.
    """
    usual_file, usual_folder = variables.get(_USUAL_FILE), variables.get(_USUAL_FOLDER)
    if not (ca_file or usual_file or usual_folder):
        return None
    if usual_folder and not Path(usual_folder).is_dir():
        raise SettingsError(f"{_USUAL_FOLDER} names '{usual_folder}', which is no folder")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if usual_folder:
        context.load_verify_locations(capath=usual_folder)
    if usual_file:
        _add(context, _USUAL_FILE, usual_file)
    if not (usual_file or usual_folder):
        import certifi

        context.load_verify_locations(cafile=certifi.where())
    if ca_file:
        _add(context, CA_FILE, ca_file)
    return context


def _add(context: ssl.SSLContext, setting: str, path: str) -> None:
    where = f"{setting} names '{path}', which"
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise SettingsError(f"{where} is no regular file")
        with Path(path).open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "the path is not one"
        raise SettingsError(f"{where} cannot be read: {reason}") from error
    if len(content) > _MAX_BYTES:
        raise SettingsError(f"{where} is larger than {_MAX_BYTES} bytes")
    try:
        context.load_verify_locations(cadata=content.decode("ascii", errors="ignore"))
    except (ssl.SSLError, ValueError) as error:
        raise SettingsError(f"{where} holds no certificates in PEM format") from error
