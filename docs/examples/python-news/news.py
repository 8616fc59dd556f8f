"""Reads the articles that a strategy subscribed to, oldest first, and keeps a mood of each symbol.

    tapedeck strategy register watcher --subjects market.bar.1h.AAPL,news.article.AAPL --credentials credentials.json
    python3 news.py credentials.json

Prints one JSON object for each article. A strategy would fold `mood` into its state and decide at its next bar; see
../python-sma-cross for the other half. Needs nats-py.
"""

import asyncio
import json
import pathlib
import struct
import sys

import nats
from nats.errors import TimeoutError as NothingYet

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "python-sma-cross"))
import tape  # noqa: E402

# How much an article counts against those before it.
WEIGHT = 0.25
SENTIMENT = {1: ("library", str), 2: ("version", str), 3: ("compound", bytes)}
ARTICLE = {
    1: ("articleId", str),
    2: ("symbol", str),
    7: ("headline", str),
    12: ("sentiment", SENTIMENT),
    13: ("delay", str),
    14: ("revision", int),
}
EVENT = {1: ("id", str), 2: ("eventTime", tape.TIMESTAMP), 176: ("newsArticle", ARTICLE)}


def read(payload: bytes) -> dict:
    """An article's event from either form."""
    if payload.lstrip()[:1] == b"{":
        return tape.from_json(json.loads(payload), EVENT)
    return from_protobuf(payload, EVENT)


def from_protobuf(data: bytes, schema: dict) -> dict:
    """As tape.from_protobuf, with doubles, which bars have none of."""
    plain = {number: (name, kind) for number, (name, kind) in schema.items() if not isinstance(kind, dict)}
    message, at = {name: 0 for name, kind in plain.values() if kind is int}, 0
    while at < len(data):
        tag, at = tape.varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = tape.varint(data, at)
        else:
            length, at = tape.varint(data, at) if wire == 2 else ({1: 8, 5: 4}[wire], at)
            value, at = data[at : at + length], at + length
        name, kind = schema.get(number, (None, None))
        if isinstance(kind, dict):
            message[name] = from_protobuf(value, kind)
        elif kind is str:
            message[name] = value.decode()
        elif kind is bytes:
            message[name] = struct.unpack("<d", value)[0]
        elif kind is int:
            message[name] = value
    return message


async def main(path: str) -> None:
    with open(path, encoding="utf-8") as file:
        credentials = json.load(file)
    client = await nats.connect(
        credentials["url"],
        user=credentials["user"],
        password=credentials["password"],
        inbox_prefix=credentials["inbox_prefix"].encode(),
    )
    consumer = credentials["consumer"]
    articles = await client.jetstream().pull_subscribe_bind(consumer, "REFERENCE")
    mood: dict[str, float] = {}
    while True:
        try:
            messages = await articles.fetch(100, timeout=1)
        except NothingYet:
            continue
        for message in messages:
            article = read(message.data)["newsArticle"]
            compound = float(article.get("sentiment", {}).get("compound", 0.0))
            symbol = article["symbol"]
            mood[symbol] = (1 - WEIGHT) * mood.get(symbol, 0.0) + WEIGHT * compound
            told = {"symbol": symbol, "headline": article["headline"], "compound": compound, "mood": round(mood[symbol], 4)}
            print(json.dumps(told), flush=True)
            await message.ack()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("expected the credentials file that `tapedeck strategy register --credentials FILE` wrote")
    asyncio.run(main(sys.argv[1]))
