"""What the records of a bank hold and the keys of its objects, from docs/bank-format.md."""

from __future__ import annotations

import json
import re
from typing import Any

Json = Any
# An object by its fields (those with ? may be missing), [shape] for a list, (shape, …) for one of several, a test, or
# the very value.
Shape = Any


class Refused(Exception):
    """Something that is not there, or must not be used."""


ID = "[A-Za-z0-9][A-Za-z0-9._-]{0,119}"
NAME = "[A-Za-z0-9][A-Za-z0-9._-]{0,254}"
INSTALLATION = "[0-9a-f]{12}"
KEY_ID, PACK, DIGEST = (f"[0-9a-f]{{{digits}}}" for digits in (16, 32, 64))


def pattern(of: str) -> Shape:
    return lambda value: isinstance(value, str) and re.fullmatch(of, value) is not None


def by_name(shape: Shape) -> Shape:
    return lambda value: isinstance(value, dict) and all(fits(one, shape) for one in value.values())


def one_or_more(shape: Shape) -> Shape:
    return lambda value: value != [] and fits(value, [shape])


def text(value: Json) -> bool:
    return isinstance(value, str)


def whole(value: Json) -> bool:
    # Not isinstance, for to Python True is a number.
    return type(value) is int and 0 <= value < 2**53


def fits(value: Json, shape: Shape) -> bool:
    if isinstance(shape, dict):
        fields = {name.rstrip("?"): inner for name, inner in shape.items()}
        needed = {name for name in shape if not name.endswith("?")}
        named = isinstance(value, dict) and needed <= set(value) <= set(fields)
        return named and all(fits(value[name], fields[name]) for name in value)
    if isinstance(shape, list):
        return isinstance(value, list) and all(fits(one, shape[0]) for one in value)
    if isinstance(shape, tuple):
        return any(fits(value, one) for one in shape)
    return shape(value) if callable(shape) else type(value) is type(shape) and value == shape


id_, digest, pack_name = pattern(ID), pattern(DIGEST), pattern(PACK)
instant = pattern("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{3}Z")
any_object = by_name(lambda _: True)
PROOFS = ("stored", "read-back", "source-compared", "restored")  # from worst to best

RESOURCE = {"type": text, "id": text}
ERROR = {"code": text, "message": text, "retryable": (True, False), "hint": text}
POINTER = {"digest": digest, "count": whole}
RULE = {"type?": text, "name?": text, "tags?": by_name((text, None)), "attributes?": any_object}
PLAN = {
    **{"id": id_, "name": text, "resources": [(RESOURCE, RULE)], "exclude": [(RESOURCE, RULE)]},
    **{"dependencies": [{"from": RESOURCE, "to": RESOURCE}]},
    **{"incomplete": ("refuse", "allow"), "onFailure": ("fail", "continue")},
}
ORIGIN = ("built-in", "provider", "tenant", "plan", "call")
POLICY = {
    field: {"value": value, "origin": ORIGIN}
    for field, value in {
        "archive": (True, False),
        "keep": (whole, "all"),
        "background": (True, False),
        "consistency": ("none", "crash", "group", "application"),
        "onInconsistency": ("refuse", "degrade"),
        "lock?": whole,
    }.items()
}
VOLUME = {"array": text, "id": text, "size": whole}
COPY = {"location": text, "volume": VOLUME, "takenAt": instant, "proof": PROOFS}
ARCHIVE = COPY | {"kind": "archive", "reference": {"token": id_, "digest": digest}}
ANY_COPY = (ARCHIVE, COPY | {"kind": ("array", "external"), "reference": any_object})
PROTECTED = {
    **{"volume": VOLUME, "strategy": {"name": text, "reason": text}, "pauseMilliseconds": (whole, None)},
    **{"consistency": ("none", "crash", "group", "application"), "arrayCopy": ("kept", "change-base", "removed")},
    **{"skewMilliseconds?": whole, "keep?": lambda value: whole(value) and value > 0, "background?": PROOFS},
    "copies": [ANY_COPY],
}
PART = {"count": whole, "segments": [digest]}
CHANGES = (
    {"since": None, "reason": ("none", "unreadable", "incomplete")},
    {"since": id_, "joined": whole, "left": whole, "lists": (digest, None)},
)
ADDENDUM = {"job": text, "at": instant}
HOLD = {"actor": text, "reason": text}
ABOUT = {"volume": {"array": text, "id": text}, "copy": {"kind": ("array", "archive", "external"), "location": text}}

RECORDS = {
    "checkpoint": {
        **{"id": id_, "tenant": id_, "plan": PLAN, "provider": text, "site": text, "job": text, "actor": text},
        "policy?": POLICY,
        "lockedUntil?": instant,
        "adopted?": {"ownership": ("take", "leave"), "oldest": instant, "newest": instant},
        "audit?": {"installation": pattern(INSTALLATION), "number": whole, "hash": digest},
        "changes?": CHANGES,
        **{"epoch": whole, "base": (id_, None), "createdAt": instant, "graph": POINTER, "artifacts": POINTER},
        **{"excluded": whole, "incomplete": whole, "missing": whole, "volumes": whole, "bytes": whole},
    },
    "artifacts": {
        "artifacts": [{"resource": RESOURCE, "description": any_object, "volume": (PROTECTED, None)}],
        "missing": [{"resource": RESOURCE, "cause": RESOURCE, "error": ERROR}],
    },
    "graph": {"resources": PART, "edges": PART, "excluded": PART, "incomplete": PART},
    "graph-resources": {"entries": [RESOURCE | {"name": text, "attributes": any_object, "tags?": by_name(text)}]},
    "graph-edges": {"entries": [[whole]]},
    "graph-excluded": {"entries": [RESOURCE]},
    "graph-incomplete": {"entries": [{"resource": RESOURCE, "error": ERROR}]},
    "changes": {"joined": PART, "left": PART},
    "changes-joined": {"entries": [whole]},
    "changes-left": {"entries": [RESOURCE | {"name": text}]},
    "manifest": {
        **{"size": whole, "chunkSize": whole, "idKey": pattern(KEY_ID), "pages": [digest]},
        "indexes": [pattern(f"{ID}/{NAME}")],
    },
    "removed": ADDENDUM,
    "copy-added": ADDENDUM | {"copy": ANY_COPY},
    "copy-removed": ADDENDUM | ABOUT,
    "copy-lost": ADDENDUM | ABOUT | {"reason": text, "by?": ("source",)},
    "copy-proven": ADDENDUM | ABOUT | {"proof": PROOFS, "supersedes?": one_or_more(text)},
    "held": ADDENDUM | HOLD,
    "hold-lifted": ADDENDUM | HOLD | {"hold": text},
    "damage": {"pack": pack_name, "reason": text, "at": instant},
    "proof": {"level": ("tags", "deep"), "at": instant, "packs": [pack_name]},
    "installation": {"id": pattern(INSTALLATION), "at": instant},
}

# What is below TENANT: the rest of the key, and the kinds of records there. An addendum's name begins with its kind.
FAMILIES = {
    "keys": (f"{KEY_ID}=[a-z0-9-]{{1,64}}", ""),
    "data": (r"([0-9a-f]{2})/\1[0-9a-f]{30}", ""),
    "index": (f"{ID}/{NAME}", ""),
    "manifests": (f"{ID}={DIGEST}", "manifest"),
    "commits": (f"{ID}={ID}", "checkpoint"),
    "graphs": (f"{ID}={DIGEST}", "(graph|changes).*"),
    "artifacts": (f"{ID}={DIGEST}", "artifacts"),
    "addenda": (f"{ID}/(removed|(copy-(added|removed|lost|proven)|held|hold-lifted)[.]{PACK})", ""),
    "damage": (PACK, "damage"),
    "proofs": (f"{ID}/{NAME}", "proof"),
    "installations": (INSTALLATION, "installation"),
}


def kinds_at(object_key: str) -> str:
    _, family, rest = [*object_key.split("/", 2), "", ""][:3]
    key, kinds = FAMILIES.get(family, ("", ""))
    if not re.fullmatch(key, rest):
        raise Refused("not a key of a bank")
    return kinds or rest.rpartition("/")[2].partition(".")[0]


def parse_json(data: bytes) -> Json:
    def once(pairs: list[tuple[str, Json]]) -> Json:
        if len(dict(pairs)) != len(pairs):
            raise ValueError("a field twice")
        return dict(pairs)

    try:
        return json.loads(data.decode(), object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise Refused(f"not JSON: {error}") from None


def is_a_set(values: list[Json]) -> bool:
    return len({json.dumps(value, sort_keys=True) for value in values}) == len(values)
