"""What is read from the tape and written to it: bars, actions, fills, marks and controls; signals.

Events on the tape are protobuf, and any of them may be proto3-JSON instead. Only the fields that a
strategy needs are decoded; the full schema is in proto/schema of Tapedeck. A decoded event has the names of the
JSON form: {"id": …, "eventTimeNs": …, "bar": {"symbol": …, "closeE9": …}}.
"""

import hashlib
import json
from datetime import datetime, timezone
from fractions import Fraction

INTENTS = {"enter_long": "INTENT_ENTER_LONG", "enter_short": "INTENT_ENTER_SHORT", "exit": "INTENT_EXIT"}
LIVE = 1
REHEARSAL = 2
SPLIT = 1
BUY = 1

TIMESTAMP = {1: ("seconds", int), 2: ("nanos", int)}
NAMED = {1: ("strategy", str)}
EVENT = {
    1: ("id", str),
    2: ("eventTime", TIMESTAMP),
    5: ("correlationId", str),
    9: ("instant", {1: ("position", int), 2: ("size", int)}),
    20: (
        "bar",
        {
            1: ("symbol", str),
            2: ("timeframe", str),
            4: ("openE9", int),
            5: ("highE9", int),
            6: ("lowE9", int),
            7: ("closeE9", int),
            8: ("volumeE3", int),
            9: ("origin", int),
        },
    ),
    22: (
        "corporateAction",
        {1: ("symbol", str), 2: ("exDate", str), 3: ("kind", int), 4: ("valueE9", int), 5: ("origin", int)},
    ),
    70: ("fill", {2: ("account", str), 4: ("symbol", str), 5: ("side", int), 7: ("quantityE9", int)}),
    80: ("accountMarked", {1: ("account", str)}),
    81: (
        "accountEntry",
        {1: ("account", str), 3: ("strategy", str), 4: ("symbol", str), 6: ("quantityAfterE9", int)},
    ),
    93: ("strategyRegistered", {1: ("strategy", str), 7: ("account", str)}),
    94: ("strategyEnabled", NAMED),
    95: ("strategyDisabled", NAMED),
    97: ("strategyRemoved", NAMED),
}
ENUMS = {
    "ORIGIN_LIVE": LIVE,
    "ORIGIN_REHEARSAL": REHEARSAL,
    "ACTION_KIND_SPLIT": SPLIT,
    "SIDE_BUY": BUY,
}


def decode(payload: bytes) -> dict:
    """An event from either form."""
    if payload.lstrip()[:1] == b"{":
        event = from_json(json.loads(payload), EVENT)
    else:
        event = from_protobuf(payload, EVENT)
    time = event.pop("eventTime", {})
    event["eventTimeNs"] = time.get("seconds", 0) * 1_000_000_000 + time.get("nanos", 0)
    return event


def from_protobuf(data: bytes, schema: dict) -> dict:
    """The known fields of a message; a field that is absent has its default only where it is a number."""
    message = {name: 0 for name, kind in schema.values() if kind is int}
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = varint(data, at)
        elif wire == 2:
            length, at = varint(data, at)
            value, at = data[at : at + length], at + length
        else:
            width = {1: 8, 5: 4}[wire]
            value, at = data[at : at + width], at + width
        if number not in schema:
            continue
        name, kind = schema[number]
        if kind is int:
            message[name] = value - (1 << 64) if value >> 63 else value
        elif kind is str:
            message[name] = value.decode()
        else:
            message[name] = from_protobuf(value, kind)
    return message


def varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def from_json(document: dict, schema: dict) -> dict:
    """The same from proto3-JSON, where 64-bit numbers are text and enums are names."""
    message = {name: 0 for name, kind in schema.values() if kind is int}
    for name, kind in schema.values():
        if name not in document:
            continue
        value = document[name]
        if kind is TIMESTAMP:
            message[name] = parse_time(value)
        elif isinstance(kind, dict):
            message[name] = from_json(value, kind)
        elif kind is int:
            message[name] = ENUMS.get(value, 0) if isinstance(value, str) and value[:1].isalpha() else int(value)
        else:
            message[name] = value
    return message


def parse_time(text: str) -> dict:
    seconds, _, fraction = text.removesuffix("Z").partition(".")
    moment = datetime.fromisoformat(seconds).replace(tzinfo=timezone.utc)
    return {"seconds": int(moment.timestamp()), "nanos": int(fraction.ljust(9, "0")) if fraction else 0}


def format_time(ns: int) -> str:
    seconds, nanos = divmod(ns, 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + (f".{nanos:09}" if nanos else "") + "Z"


def signal_id(strategy: str, causation_id: str, index: int) -> str:
    """The id of the index-th signal that one event causes: a retry has the same id and changes nothing."""
    return hashlib.sha256(f"signal/{strategy}/{causation_id}/{index}".encode()).hexdigest()[:32]


def signal_event(strategy: str, cause: dict, sequence: int, index: int, signal: dict) -> dict:
    """A signal as proto3-JSON. `cause` is the bar's event, `sequence` its place on MARKET."""
    return {
        "id": signal_id(strategy, cause["id"], index),
        "eventTime": format_time(cause["eventTimeNs"]),
        "source": strategy,
        "correlationId": cause.get("correlationId") or cause["id"],
        "causationId": cause["id"],
        "basis": [{"stream": "MARKET", "sequence": str(sequence)}],
        "signal": {
            "strategy": strategy,
            "legs": [
                {
                    "symbol": signal["symbol"],
                    "intent": INTENTS[signal["intent"]],
                    "orderType": "ORDER_TYPE_MARKET",
                    "timeInForce": "TIME_IN_FORCE_DAY",
                }
            ],
            "indicators": [{"name": name, "value": value} for name, value in signal["indicators"].items()],
            "reason": signal["reason"],
        },
    }


def split_ratio(value_e9: int) -> Fraction:
    """New shares per old share. Nine decimals are the written form of a fraction with small terms: 0.333333333
    is one for three."""
    exact = Fraction(value_e9, 1_000_000_000)
    near = exact.limit_denominator(10_000)
    small = near.numerator <= 10_000 and abs(near - exact) < Fraction(1, 1_000_000_000)
    return near if small else exact


def divide(price_e9: int, ratio: Fraction) -> int:
    """A price in new shares, rounded half to even."""
    return round(price_e9 / ratio)
