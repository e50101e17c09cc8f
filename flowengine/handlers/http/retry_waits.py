"""What a refusing service says about another try: whether it makes sense, and when. Pure.

Understands, in this order, `retry-after-ms` and `x-ms-retry-after-ms` (Azure, OpenAI), `Retry-After` (RFC
9110, section 10.2.3), and the headers that say when a used-up limit is full again: `x-ratelimit-reset` and
its relatives (seconds, `6m0s`, or a time), `ratelimit-reset` and `RateLimit` (drafts of the IETF).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import msgspec

from flowengine.execution.error_codes import WORTH_ANOTHER_TRY
from flowengine.handlers.http.answer import Answer
from flowengine.handlers.http.reading.charsets import utf_8_of_json
from flowengine.jsonvalue import JsonValue, NotJsonError, decode_bounded

NEVER_RETRIED_SERVER_ERRORS: Final = frozenset({501, 505})

NUMBER: Final = re.compile(r"[0-9]{1,15}(\.[0-9]{1,9})?\Z")
_DURATION: Final = re.compile(r"(?:[0-9]{1,9}(?:\.[0-9]{1,9})?(?:ms|us|µs|ns|d|h|m|s))+\Z")
_DURATION_PART: Final = re.compile(r"([0-9.]+)(ms|us|µs|ns|d|h|m|s)")
_UNIT_SECONDS: Final = {
    "d": 86400.0,
    "h": 3600.0,
    "m": 60.0,
    "s": 1.0,
    "ms": 1e-3,
    "us": 1e-6,
    "µs": 1e-6,
    "ns": 1e-9,
}
# A number above these is a time since 1970, in seconds or milliseconds: no limit is reset in 30 years.
_EPOCH_SECONDS: Final = 1e9
_EPOCH_MILLISECONDS: Final = 1e12
_RESET_NAME: Final = re.compile(r"(?P<of>(x-)?rate-?limit(-[a-z-]+?)?)-reset(?P<what>-[a-z-]+|-after)?\Z")
_RATE_LIMIT_ITEM: Final = re.compile(
    r"[;,\s](?P<key>r|t|remaining|reset)\s*=\s*(?P<value>[0-9]{1,12})(?![0-9.])"
)
QUOTA_CODES: Final = frozenset(
    {
        "insufficient_quota",
        "billing_hard_limit_reached",
        "billing_not_active",
        "insufficient_balance",
        "insufficient_credits",
        "insufficient_funds",
        "credit_balance_too_low",
        "quota_exceeded",
        "exceeded_current_quota",
        "budget_exceeded",
    }
)
"""What services call a limit of money or of a plan, which no waiting fills up again."""
_SEPARATORS: Final = re.compile("[^a-z0-9]")
_NEVER_PASSING: Final = {_SEPARATORS.sub("", code) for code in (*QUOTA_CODES, "account_deactivated")}
_MAX_NAME_CHARS: Final = 100


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """What to do after an error status. `wait_s`: as long as the service asked for, if it did.

    `why_not` says why an error that is often passing will not pass.
    """

    retry: bool
    wait_s: float | None = None
    why_not: str | None = None


def advice_of(answer: Answer) -> Advice:
    """Whether to try again after an answer with an error status, and when.

    5xx except 501 and 505, and 408, 409, 425 and 429, are worth another try, unless the service says
    otherwise (`x-should-retry`) or an account's quota is used up.
    """
    now = http_date(answer.headers.get("date")) or datetime.now(UTC)
    wait_s = asked_wait(answer, now=now)
    match answer.headers.get("x-should-retry", "").strip().lower():
        case "true":
            return Advice(retry=True, wait_s=wait_s)
        case "false":
            return Advice(retry=False, why_not="the service says that another try makes no sense")
    status = answer.status_code
    if status == 429 and (code := _quota_code(answer)):
        return Advice(retry=False, why_not=f"a quota is used up ({code}), which no waiting changes")
    passing = (status >= 500 and status not in NEVER_RETRIED_SERVER_ERRORS) or status in WORTH_ANOTHER_TRY
    return Advice(retry=passing, wait_s=wait_s)


def asked_wait(answer: Answer, *, now: datetime) -> float | None:
    """Seconds that the answer's headers ask to wait, never below 0; None if they ask for nothing.

    A header that comes twice counts with its longest wait.
    """
    milliseconds = [
        _number(part)
        for name in ("retry-after-ms", "x-ms-retry-after-ms")
        for value in answer.values(name)
        for part in value.split(",")
    ]
    if known := [found / 1000 for found in milliseconds if found is not None]:
        return max(known)
    waits = [retry_after_seconds(value, now=now) for value in answer.values("retry-after")]
    if given := [wait for wait in waits if wait is not None]:
        return max(given)
    return _reset_wait(answer, now) if answer.status_code == 429 else None


def retry_after_seconds(value: str | None, *, now: datetime) -> float | None:
    """Seconds that a `Retry-After` header asks to wait (RFC 9110, section 10.2.3).

    The header gives seconds or an HTTP date; a duration (`2m`), a time of RFC 3339 and one in seconds since
    1970, which some services write, are read too. None if there is no header, or one that cannot be read.
    `now` is the server's own time (its `Date` header) where it is known, because clocks differ.
    """
    if value is None:
        return None
    text = value.strip()
    if (wait_s := _until(text, now)) is not None:
        return wait_s
    parts = [_number(part.strip()) for part in text.split(",")]
    known = [part for part in parts if part is not None]
    return max(known) if known and len(known) == len(parts) else None


def http_date(value: str | None) -> datetime | None:
    """An HTTP date as an aware datetime, or None when it cannot be read."""
    if value is None:
        return None
    try:
        when = parsedate_to_datetime(value)
    except (ValueError, IndexError, OverflowError):
        return None
    return when if when.tzinfo is not None else when.replace(tzinfo=UTC)


def _number(text: str) -> float | None:
    return float(text) if NUMBER.match(text.strip()) else None


class _Reset(msgspec.Struct, frozen=True):
    """When a limit is full again. `is_used_up`: None if the service does not say what is left of it."""

    wait_s: float
    is_used_up: bool | None


def _reset_wait(answer: Answer, now: datetime) -> float | None:
    """The longest wait for a limit that is used up or, if no service says what is left, for any limit."""
    resets = [*_named_resets(answer, now), *_listed_resets(answer)]
    used_up = [reset.wait_s for reset in resets if reset.is_used_up]
    unknown = [reset.wait_s for reset in resets if reset.is_used_up is None]
    return max(used_up or unknown, default=None)


def _named_resets(answer: Answer, now: datetime) -> Iterator[_Reset]:
    """`x-ratelimit-reset`, `x-ratelimit-reset-tokens`, `anthropic-ratelimit-tokens-reset` and the like."""
    for name in answer.headers:
        found = _RESET_NAME.search(name) if len(name) <= _MAX_NAME_CHARS else None
        if found is None:
            continue
        what = "" if found["what"] in (None, "-after") else found["what"]
        left = answer.values(f"{name[: found.start()]}{found['of']}-remaining{what}")
        for value in answer.values(name):
            wait_s = _until(value.strip(), now)
            if wait_s is not None:
                yield _Reset(wait_s, _is_zero(left))


def _listed_resets(answer: Answer) -> Iterator[_Reset]:
    """`RateLimit: "default";r=0;t=30`, and the older `limit=10, remaining=0, reset=30`."""
    for value in answer.values("ratelimit"):
        for policy in re.split(r",(?=\s*\")", value):
            fields = {item["key"]: item["value"] for item in _RATE_LIMIT_ITEM.finditer(f" {policy}")}
            reset = fields.get("t", fields.get("reset"))
            left = fields.get("r", fields.get("remaining"))
            if reset is not None:
                yield _Reset(float(reset), _is_zero([] if left is None else [left]))


def _is_zero(left: Iterable[str]) -> bool | None:
    numbers = [number for value in left if (number := _number(value)) is not None]
    return None if not numbers else min(numbers) <= 0


def _until(text: str, now: datetime) -> float | None:
    """Seconds until a reset that is given in seconds, as a duration (`1m30s`), or as a time."""
    number = _number(text)
    if number is not None:
        if number >= _EPOCH_MILLISECONDS:
            number /= 1000
        return max(0.0, number - now.timestamp()) if number >= _EPOCH_SECONDS else number
    if _DURATION.match(text):
        return sum(float(part[1]) * _UNIT_SECONDS[part[2]] for part in _DURATION_PART.finditer(text))
    when = http_date(text) or _rfc_3339(text)
    return None if when is None else max(0.0, (when - now).total_seconds())


def _rfc_3339(text: str) -> datetime | None:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    return when if when.tzinfo is not None else when.replace(tzinfo=UTC)


def _quota_code(answer: Answer) -> str | None:
    """The code of an error that says that money or a plan is used up, and not a rate."""
    try:
        value = decode_bounded(utf_8_of_json(answer.body, answer.content_type)[0])
    except NotJsonError:
        return None
    return next((code for code in _codes(value) if _squashed(code) in _NEVER_PASSING), None)


def _squashed(code: str) -> str:
    """`QuotaExceeded` and `quota_exceeded` are one code."""
    return _SEPARATORS.sub("", code.lower())


def _codes(value: JsonValue) -> Iterator[str]:
    """`code`, `type` and `status` of an error, wherever services put the error."""
    places = value[:1] if isinstance(value, list) else [value]
    for place in places[:]:
        if isinstance(place, dict):
            inner = place.get("error"), place.get("errors"), place.get("detail")
            places += [item for part in inner for item in (part if isinstance(part, list) else [part])]
    for place in places:
        if isinstance(place, str):
            yield place
        elif isinstance(place, dict):
            names = (place.get(key) for key in ("code", "type", "status"))
            yield from (name for name in names if isinstance(name, str))
