"""The client: one strategy's connection to the tape.

The rule that keeps a rehearsal deterministic is three words long: signal, await, acknowledge. A bar is
acknowledged after every signal that it causes is stored, and the tape clock moves on after the acknowledgement.

On every start both consumers are set back to the beginning, so that the strategy sees all of its history again, in
order: that is its warm-up. Only bars of the present may signal (see `Deck.is_present`).
"""

import asyncio
import json
import sys
import time

import nats

import tape

BATCH = 500
HEARTBEAT_S = 5
SETTLE_S = 0.05
SHARED_MAX = 3
TIMEFRAME_S = {"1m": 60, "5m": 300, "15m": 900, "30m": 1800, "1h": 3600, "1d": 86400}


class Lost(Exception):
    """The connection was interrupted: deliveries may be missing, so everything is read again."""


class Removed(Exception):
    """The registration has ended, and with it the right to connect."""


class Shared(Exception):
    """Deliveries went elsewhere: another process reads as this strategy."""


class Pull:
    """A durable consumer, read continuously and in order."""

    def __init__(self, deck: "Deck", stream: str):
        self.deck, self.stream = deck, stream
        self.messages = None
        self.asked = 0
        self.pending = 0
        self.sequence = 0
        self.delivered = 0

    async def open(self):
        self.inbox = self.deck.nc.new_inbox()
        self.messages = await self.deck.nc.subscribe(self.inbox, pending_msgs_limit=-1, pending_bytes_limit=-1)
        reset = await self.call("RESET", {"seq": 1})
        self.pending = reset["num_pending"]

    async def close(self):
        """What was asked for and has not come must not go where nobody reads any more."""
        if self.messages is not None:
            try:
                await self.messages.unsubscribe()
            except nats.errors.Error:
                pass  # The connection is gone, and the subscription with it.

    async def call(self, api: str, body: dict) -> dict:
        return await self.deck.request(self.subject(api), json.dumps(body).encode())

    def subject(self, api: str) -> str:
        return f"$JS.API.CONSUMER.{api}.{self.stream}.{self.deck.consumer}"

    async def next(self):
        """The next message with its sequence on the stream; waits for as long as there is none."""
        silent_s = 0
        while True:
            if self.asked == 0:
                body = {"batch": BATCH, "expires": 30_000_000_000, "idle_heartbeat": HEARTBEAT_S * 1_000_000_000}
                await self.deck.nc.publish(self.subject("MSG.NEXT"), json.dumps(body).encode(), reply=self.inbox)
                self.asked = BATCH
            if self.deck.lost:
                raise Lost
            try:
                message = await self.messages.next_msg(timeout=1)
                silent_s = 0
            except asyncio.TimeoutError:
                silent_s += 1
                if silent_s > 3 * HEARTBEAT_S:
                    silent_s = self.asked = 0
                continue
            status = (message.headers or {}).get("Status")
            if status == "100":
                continue
            if status:
                self.asked = 0
                if "Deleted" in (message.headers or {}).get("Description", ""):
                    raise Removed
                continue
            self.asked -= 1
            sequence = message.metadata.sequence.stream
            self.pending = message.metadata.num_pending
            if message.metadata.sequence.consumer != self.delivered + 1:
                raise Shared
            self.delivered += 1
            if sequence <= self.sequence:
                # Delivered again, because its acknowledgement came late; TRADING wants none.
                if self.stream == "MARKET":
                    await message.ack()
                continue
            self.sequence = sequence
            return message, sequence


class Deck:
    """One strategy on the tape."""

    def __init__(self, credentials: dict):
        self.credentials = credentials
        self.name = credentials["strategy"]
        self.consumer = credentials["consumer"]
        self.lost = False
        self.closed = asyncio.Event()

    async def run(self, make_strategy):
        """Runs until the registration ends. `make_strategy` gives a strategy that knows nothing yet."""
        credentials = self.credentials

        async def interrupted():
            self.lost = True

        async def closed():
            self.closed.set()

        async def told(error):
            print(f"{self.name}: {error}", file=sys.stderr)
            if isinstance(error, nats.errors.AuthorizationError) or "Authorization Violation" in str(error):
                # The user is gone: no attempt will succeed.
                self.closed.set()

        connecting = asyncio.ensure_future(nats.connect(
            credentials["url"],
            user=credentials["user"],
            password=credentials["password"],
            name=f"strategy {self.name}",
            inbox_prefix=credentials["inbox_prefix"].encode(),
            disconnected_cb=interrupted,
            closed_cb=closed,
            error_cb=told,
            reconnect_time_wait=0.5,
            max_reconnect_attempts=120,
        ))
        refused = asyncio.ensure_future(self.closed.wait())
        await asyncio.wait({connecting, refused}, return_when=asyncio.FIRST_COMPLETED)
        if not connecting.done():
            connecting.cancel()
            sys.exit(f"{self.name}: {credentials['url']} refuses user {credentials['user']}: "
                     "its password is wrong, or the registration has ended")
        self.nc = await connecting
        print(f"{self.name}: connected to {credentials['url']}", file=sys.stderr)
        shared = 0
        try:
            while not self.closed.is_set():
                self.lost = False
                try:
                    await self.follow(make_strategy())
                except Shared:
                    shared += 1
                    print(f"{self.name}: another process reads as this strategy", file=sys.stderr)
                    if shared == SHARED_MAX:
                        sys.exit(f"{self.name}: stopped; one strategy is one process, so end the other one first")
                    await asyncio.sleep(1)
                except (Lost, asyncio.TimeoutError, nats.errors.Error) as error:
                    print(f"{self.name}: beginning again: {error!r}", file=sys.stderr)
                    await self.reconnected()
            print(f"{self.name}: the registration has ended", file=sys.stderr)
        except Removed:
            print(f"{self.name}: the registration has ended", file=sys.stderr)
        finally:
            refused.cancel()
            await self.nc.close()

    async def reconnected(self):
        await asyncio.sleep(0.1)
        while not self.nc.is_connected and not self.closed.is_set():
            await asyncio.sleep(0.1)

    async def follow(self, strategy):
        """Reads everything from the beginning, then goes on with the present."""
        self.enabled = False
        self.account = self.credentials["account"]
        self.positions = {}
        self.marked_ns = 0
        self.last_ids = {}
        self.trading = Pull(self, "TRADING")
        market = Pull(self, "MARKET")
        try:
            await self.trading.open()
            await market.open()
            while True:
                await self.take(strategy, *await market.next())
        finally:
            await market.close()
            await self.trading.close()

    async def take(self, strategy, message, sequence: int):
        event = tape.decode(message.data)
        if "bar" in event:
            await self.take_bar(strategy, event, sequence)
        elif event.get("corporateAction", {}).get("kind") == tape.SPLIT:
            action = event["corporateAction"]
            strategy.on_split(action["symbol"], action["exDate"], tape.split_ratio(action["valueE9"]))
        await message.ack()

    async def take_bar(self, strategy, event: dict, sequence: int):
        bar = event["bar"]
        present = await self.is_present(event)
        held = self.positions.get((self.account, bar["symbol"]), 0)
        signals = strategy.on_bar(bar, event["eventTimeNs"], held)
        if present and self.enabled:
            for index, signal in enumerate(signals):
                await self.publish(tape.signal_event(self.name, event, sequence, index, signal), signal["symbol"])

    async def is_present(self, event: dict) -> bool:
        """Whether a bar may signal: history warms up and never does.

        On a tape clock a bar belongs to an instant, and the instant is present while its mark is the account's
        last one; waiting for that mark also brings every fill of the instant. On the wall clock a bar is present
        for as long as it is the newest one of its timeframe.
        """
        bar, ns = event["bar"], event["eventTimeNs"]
        if bar["origin"] not in (tape.LIVE, tape.REHEARSAL):
            return False
        if "instant" in event:
            while self.marked_ns <= ns and (self.marked_ns < ns or self.trading.pending > 0):
                await self.read_trading()
            return self.marked_ns == ns
        await self.read_all_trading()
        return time.time_ns() - ns < TIMEFRAME_S[bar["timeframe"]] * 1_000_000_000

    async def read_all_trading(self):
        """Reads whatever concerns this strategy up to now."""
        while True:
            while self.trading.pending > 0 or self.trading.messages.pending_msgs > 0:
                await self.read_trading()
            # What was stored just now is on its way.
            await asyncio.sleep(SETTLE_S)
            if self.trading.messages.pending_msgs == 0:
                return

    async def read_trading(self):
        """Folds the next event that concerns this strategy: fills, splits, marks, controls."""
        message, _ = await self.trading.next()
        event = tape.decode(message.data)
        if "fill" in event:
            fill = event["fill"]
            key = (fill["account"], fill["symbol"])
            quantity = fill["quantityE9"] if fill["side"] == tape.BUY else -fill["quantityE9"]
            self.positions[key] = self.positions.get(key, 0) + quantity
        elif "accountEntry" in event:
            # The only entries of this consumer are splits, of whatever strategy.
            entry = event["accountEntry"]
            if entry.get("strategy") == self.name:
                self.positions[(entry["account"], entry["symbol"])] = entry["quantityAfterE9"]
        elif "accountMarked" in event:
            if event["accountMarked"]["account"] == self.account:
                self.marked_ns = max(self.marked_ns, event["eventTimeNs"])
        elif "strategyRegistered" in event:
            self.account = event["strategyRegistered"]["account"]
        elif "strategyRemoved" in event:
            self.enabled = False
        elif "strategyEnabled" in event or "strategyDisabled" in event:
            self.enabled = "strategyEnabled" in event
            print(f"{self.name}: {'enabled' if self.enabled else 'disabled'}", file=sys.stderr)

    async def publish(self, event: dict, symbol: str):
        """Stores a signal once, and returns when the tape has it."""
        subject = f"signal.{self.name}.{escape(symbol)}"
        if subject not in self.last_ids:
            # The server knows repeated ids for minutes; beyond that the last signal tells.
            self.last_ids[subject] = await self.last_id(subject)
        if self.last_ids[subject] == event["id"]:
            return
        headers = {"Nats-Msg-Id": event["id"], "Content-Type": "application/json"}
        await self.request(subject, json.dumps(event).encode(), headers)
        self.last_ids[subject] = event["id"]
        leg = event["signal"]["legs"][0]
        print(f"{event['eventTime']} {leg['intent']} {symbol}: {event['signal']['reason']}", flush=True)

    async def last_id(self, subject: str):
        answer = await self.nc.request(f"$JS.API.DIRECT.GET.TRADING.{subject}", b"", timeout=5)
        return (answer.headers or {}).get("Nats-Msg-Id")

    async def request(self, subject: str, payload: bytes, headers: dict | None = None) -> dict:
        answer = json.loads((await self.nc.request(subject, payload, timeout=5, headers=headers)).data)
        if "error" in answer:
            raise RuntimeError(f"{subject}: {answer['error']['description']}")
        return answer


def escape(symbol: str) -> str:
    """A symbol as one token of a subject: BRK.B is BRK%2EB."""
    reserved = ".*>%$ "
    return "".join(f"%{ord(letter):02X}" if letter in reserved else letter for letter in symbol)
