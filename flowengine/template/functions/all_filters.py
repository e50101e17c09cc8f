"""The filters that templates may use, by name: a closed list, each bounded before it makes anything.

Jinja2's own filters are not used: several format, call, read Python's attributes, or grow without limit
(`center`, `indent`, `format`, `attr`). A filter takes the budget, the value, then its arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from jinja2 import Undefined

from flowengine.template.budget import Budget
from flowengine.template.functions.filters import (
    encodings,
    lists,
    matching,
    numbers,
    objects,
    queries,
    reshaping,
    selecting,
    texts,
    times,
)

TAKES_UNDEFINED: Final = frozenset({"d", "default"})
"""Their value and their arguments may be something that does not exist."""


def _default(budget: Budget, value: object, default: object = "", also_empty: bool = False) -> object:
    return default if isinstance(value, Undefined) or (also_empty is True and not value) else value


FILTERS: Final[dict[str, Callable[..., object]]] = {
    "abs": numbers.absolute,
    "b64decode": encodings.b64decode,
    "b64encode": encodings.b64encode,
    "batch": reshaping.batch,
    "capitalize": texts.capitalize,
    "count": lists.length,
    "d": _default,
    "date_add": times.date_add,
    "date_diff": times.date_diff,
    "date_format": times.date_format,
    "default": _default,
    "entries": objects.entries,
    "first": lists.first,
    "flatten": reshaping.flatten,
    "float": numbers.to_float,
    "from_items": objects.from_items,
    "fromjson": encodings.fromjson,
    "groupby": reshaping.groupby,
    "hmac_sha256": encodings.hmac_sha256,
    "int": numbers.to_int,
    "items": objects.pairs,
    "jmespath": queries.jmespath,
    "join": texts.join,
    "keys": objects.keys,
    "last": lists.last,
    "length": lists.length,
    "list": lists.to_list,
    "lower": texts.lower,
    "max": lists.largest,
    "merge": objects.merge,
    "min": lists.smallest,
    "omit": objects.omit,
    "pick": objects.pick,
    "product": reshaping.product,
    "regex_findall": matching.regex_findall,
    "regex_replace": matching.regex_replace,
    "regex_search": matching.regex_search,
    "reject": selecting.reject,
    "rejectattr": selecting.rejectattr,
    "replace": texts.replace,
    "reverse": lists.reverse,
    "round": numbers.rounded,
    "select": selecting.select,
    "selectattr": selecting.selectattr,
    "sha256": encodings.sha256,
    "sort": lists.sort,
    "split": texts.split,
    "string": texts.string,
    "sum": lists.total,
    "title": texts.title,
    "to_timestamp": times.to_timestamp,
    "tojson": texts.tojson,
    "trim": texts.trim,
    "truncate": texts.truncate,
    "unique": lists.unique,
    "upper": texts.upper,
    "urlencode": texts.urlencode,
    "values": objects.values,
    "zip": reshaping.side_by_side,
}
FILTERS["map"] = selecting.mapping(FILTERS)
