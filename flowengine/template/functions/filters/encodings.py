"""Filters that encode text and hash it. What is no text is taken as its JSON."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode as decoded
from base64 import b64encode as encoded

from flowengine.jsonvalue import JsonValue, NotJsonError, decode_bounded
from flowengine.template.budget import Budget
from flowengine.template.errors import TemplateEvaluationError
from flowengine.template.functions.charged_values import LOOK_COST, MISSING, only_text, text_of
from flowengine.template.json_values import type_name

_STRUCTURE_COST = 16  # `[],` is three characters of text, and 64 bytes as a list


def b64encode(budget: Budget, value: object) -> str:
    """The UTF-8 bytes of the text as base64."""
    text = text_of(budget, value)
    budget.spend_work(LOOK_COST * len(text))
    return encoded(text.encode()).decode("ascii")


def b64decode(budget: Budget, value: object) -> str:
    """The text of base64. Both alphabets are read; padding may be missing."""
    text = "".join(only_text(budget, "b64decode", value).split()).replace("-", "+").replace("_", "/")
    try:
        return decoded(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), validate=True).decode()
    except ValueError as error:
        raise TemplateEvaluationError("'b64decode' works on base64 of UTF-8 text, this is none") from error


def sha256(budget: Budget, value: object) -> str:
    """The SHA-256 of its UTF-8 bytes, in hexadecimal."""
    return hashlib.sha256(text_of(budget, value).encode()).hexdigest()


def hmac_sha256(budget: Budget, value: object, key: object) -> str:
    """The HMAC (RFC 2104) of its UTF-8 bytes with SHA-256, in hexadecimal. The key is text."""
    if not isinstance(key, str):
        raise TemplateEvaluationError(f"'hmac_sha256' takes a key that is text, not {type_name(key)}")
    budget.spend_work(len(key))
    return hmac.new(key.encode(), text_of(budget, value).encode(), hashlib.sha256).hexdigest()


def fromjson(budget: Budget, value: object, default: object = MISSING) -> object:
    """The value of JSON; the default where the text is none."""
    text = only_text(budget, "fromjson", value)
    structure = sum(text.count(mark) for mark in "[{,:")
    budget.spend_work(_STRUCTURE_COST * structure)
    try:
        found: JsonValue = decode_bounded(text)
    except NotJsonError as error:
        if default is not MISSING:
            return default
        raise TemplateEvaluationError(
            "'fromjson' works on JSON, this text is none; fromjson(none) gives null for it"
        ) from error
    return found
