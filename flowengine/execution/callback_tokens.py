"""The tokens of callback URLs: the right to say how one node of one run ends. Pure.

A token names its node and run, and proves that an engine has given it out: by a MAC (RFC 2104, with SHA-256)
of these under the execution's seed, which is random and never leaves the engine. So a try that runs again
gives out the same token, nothing of a token is stored, and none can be guessed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import Final

import msgspec

SEED_BYTES: Final = 16
MAX_TOKEN_CHARS: Final = 160

_TOKEN: Final = re.compile(
    r"(?P<execution>[A-Za-z0-9_-]{1,64})\.(?P<node>[0-9]{1,6})\.(?P<run>[0-9]{1,9})\.(?P<proof>[A-Za-z0-9_-]{43})"
)


class Token(msgspec.Struct, frozen=True):
    """What a token says. `node`: the index of the node in the plan of its execution."""

    execution: str
    node: int
    run: int
    proof: str

    def __str__(self) -> str:
        return f"{self.execution}.{self.node}.{self.run}.{self.proof}"


def token_of(seed: bytes, execution: str, node: int, run: int) -> Token:
    """The token of one node in one run."""
    return Token(execution, node, run, _proof(seed, execution, node, run))


def read_token(text: str) -> Token | None:
    """What a text says that may be a token; None for one that cannot be."""
    found = _TOKEN.fullmatch(text) if len(text) <= MAX_TOKEN_CHARS else None
    if found is None:
        return None
    return Token(found["execution"], int(found["node"]), int(found["run"]), found["proof"])


def is_genuine(token: Token, seed: bytes) -> bool:
    """Whether it was given out under this seed. Takes as long for each wrong one."""
    return hmac.compare_digest(token.proof, _proof(seed, token.execution, token.node, token.run))


def url_of(base: str, token: Token) -> str:
    """Where its callback is posted to."""
    return f"{base.rstrip('/')}/callbacks/{token}"


def _proof(seed: bytes, execution: str, node: int, run: int) -> str:
    digest = hmac.digest(seed, f"{execution}.{node}.{run}".encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
