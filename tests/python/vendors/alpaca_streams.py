"""alpaca-py's streams: market data and news over MessagePack, trade updates over binary and text frames; what the
clients do when a connection ends."""

import datetime

from alpaca.data.live.news import NewsDataStream
from alpaca.data.live.stock import StockDataStream
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, TimeInForce, TradeEvent
from alpaca.trading.requests import LimitOrderRequest, MarketOrderRequest
from alpaca.trading.stream import TradingStream

from stand import ADDRESSES, KEY, SECRET, apart, bars, call, near, reset, same, stream_fault, until

DATA = ADDRESSES["alpaca_data"].replace("http", "ws")
TRADING = ADDRESSES["alpaca_trading"].replace("http", "ws")


def connection(vendor):
    """The newest connection to a vendor, while it is open."""
    found = [row for row in call("GET", "/connections") if row["vendor"] == vendor and row["open"]]
    return found[-1] if found else None


def said(vendor, action):
    """The messages of clients with an action."""
    return [row["body"] for row in call("GET", "/messages", vendor=vendor) if row["body"].get("action") == action]


def advance(seconds):
    call("POST", "/clock", {"advance_ms": int(seconds * 1000)})


def say(kind, symbol="AAPL", **what):
    return call("POST", "/market/say", {"kind": kind, "symbol": symbol, **what})


class Heard(list):
    """What a stream's handlers were given."""

    async def hear(self, message):
        self.append(message)


TRADE = {"id": 7, "at_ns": 1767711600123456789, "price": 1875000, "size": 100, "exchange": "V", "conditions": ["@", "T"],
         "tape": "C"}


def market_data():
    """Every kind of message, and each field of it."""
    stream = StockDataStream(KEY, SECRET, url_override=DATA + "/v2/iex")
    heard = {name: Heard() for name in ("bars", "updated", "daily", "trades", "quotes", "status", "corrections", "cancels")}
    stream.subscribe_bars(heard["bars"].hear, "*")
    stream.subscribe_updated_bars(heard["updated"].hear, "AAPL")
    stream.subscribe_daily_bars(heard["daily"].hear, "AAPL")
    stream.subscribe_trades(heard["trades"].hear, "AAPL", "MSFT")
    stream.subscribe_quotes(heard["quotes"].hear, "AAPL")
    stream.subscribe_trading_statuses(heard["status"].hear, "AAPL")
    stream.register_trade_corrections(heard["corrections"].hear)
    stream.register_trade_cancels(heard["cancels"].hear)
    apart(stream.run)
    until(lambda: said("alpaca_data", "subscribe"), "a subscription")
    until(lambda: stream._running, "a running stream")
    same(connection("alpaca_data")["binary"], True, "MessagePack")
    advance(120)
    symbols = [listing["symbol"] for listing in call("GET", "/market/listings") if listing["symbol"] != "GONE"]
    until(lambda: len(heard["bars"]) == 2 * len(symbols), "two minutes of bars")
    want = bars("AAPL", start="2026-01-06T15:00:00Z")
    got = [bar for bar in heard["bars"] if bar.symbol == "AAPL"]
    same([(bar.open, bar.high, bar.low, bar.close, bar.volume, bar.vwap, bar.trade_count) for bar in got],
         [(row["open"], row["high"], row["low"], row["close"], row["volume"], row["vwap"], row["trades"]) for row in want])
    same([int(bar.timestamp.timestamp()) * 10**9 for bar in got], [row["start_ns"] for row in want])
    until(lambda: len(heard["trades"]) == 16, "trades of two symbols")
    until(lambda: len(heard["quotes"]) == 12, "quotes")
    day = bars("AAPL", "1Day", start="2026-01-06", end="2026-01-06")[0]
    until(lambda: len(heard["daily"]) == 2, "the day so far")
    same((heard["daily"][-1].open, heard["daily"][-1].high, heard["daily"][-1].volume),
         (day["open"], day["high"], day["volume"]))

    revised = {**{name: round(want[0][name] * 10000) for name in ("open", "high", "low", "close", "vwap")},
               "start_ns": want[0]["start_ns"], "volume": want[0]["volume"] + 55, "trades": want[0]["trades"] + 1}
    say("updated_bar", bar=revised)
    say("correction", original=TRADE, corrected={**TRADE, "id": 8, "price": 1874500, "size": 90})
    say("cancel_error", trade=TRADE, action="C")
    say("status", code="H", message="Trading Halt", reason_code="T12", reason="News pending")
    until(lambda: heard["status"], "a halt")
    same((heard["updated"][0].volume, bars("AAPL", start="2026-01-06T15:00:00Z")[0]["volume"]),
         (revised["volume"], revised["volume"]), "the minute is another one now, over HTTP too")
    fixed = heard["corrections"][0]
    same((fixed.original_id, fixed.original_price, fixed.corrected_id, fixed.corrected_price, fixed.corrected_size),
         (7, 187.5, 8, 187.45, 90))
    cancel = heard["cancels"][0]
    same((cancel.id, cancel.price, cancel.size, cancel.action), (7, 187.5, 100, "C"))
    same(cancel.timestamp, datetime.datetime(2026, 1, 6, 15, 0, 0, 123456, tzinfo=datetime.timezone.utc))
    halt = heard["status"][0]
    same((halt.status_code, halt.reason_code, halt.tape), ("H", "T12", "C"))
    before = len(heard["bars"])
    advance(60)
    until(lambda: len(heard["bars"]) == before + len(symbols) - 1, "a halted symbol has no bar")
    sent = connection("alpaca_data")["sent"]
    same((sent["b"], sent["t"], sent["q"], sent["u"], sent["c"], sent["x"], sent["s"]),
         (len(heard["bars"]), len(heard["trades"]), len(heard["quotes"]), 1, 1, 1, 1), "nothing was lost")
    stream.unsubscribe_bars("*")
    until(lambda: said("alpaca_data", "unsubscribe"), "an end of a subscription")
    stream.stop()
    until(lambda: not connection("alpaca_data"), "the connection's end")


def faults_of_market_data():
    """Duplicates, gaps, late messages, and connections that end: the client comes back and subscribes again."""
    stream = StockDataStream(KEY, SECRET, url_override=DATA + "/v2/iex")
    stream._reconnect_min_backoff = 0.1
    heard = Heard()
    stream.subscribe_bars(heard.hear, "AAPL")
    apart(stream.run)
    until(lambda: stream._running, "a running stream")
    stream_fault("alpaca_data", kind="b", fault="duplicate")
    stream_fault("alpaca_data", kind="b", fault="drop")
    stream_fault("alpaca_data", kind="b", fault="late", by=1)
    for _ in range(4):
        advance(60)
    until(lambda: len(heard) == 4, "the first twice, the second not, the fourth before the third")
    want = [row["start_ns"] // 10**9 for row in bars("AAPL", start="2026-01-06T15:00:00Z")]
    same([int(bar.timestamp.timestamp()) for bar in heard], [want[0], want[0], want[3], want[2]])
    for number, ending in enumerate(({"fault": "cut"}, {"fault": "close", "code": 1011, "reason": "gone"})):
        old = connection("alpaca_data")["number"]
        stream_fault("alpaca_data", kind="b", **ending)
        advance(60)
        until(lambda: connection("alpaca_data") and connection("alpaca_data")["number"] != old, "another connection")
        until(lambda: len(said("alpaca_data", "subscribe")) == number + 2, "another subscription")
        until(lambda: stream._running, "a running stream")
    count = len(heard)
    advance(60)
    until(lambda: len(heard) == count + 1, "bars over the new connection")
    call("PATCH", "/settings", {"alpaca_data": {"connections_max": 1}})
    second = StockDataStream(KEY, SECRET, url_override=DATA + "/v2/iex")
    second.subscribe_bars(heard.hear, "MSFT")
    apart(second.run)
    until(lambda: len(said("alpaca_data", "auth")) >= 5, "the second client tries again and again")
    same(second._running, False, "there is room for one connection")
    apart(second.stop)
    stream.stop()


def news():
    """The stream of news."""
    stream = NewsDataStream(KEY, SECRET, url_override=DATA + "/v1beta1/news")
    heard = Heard()
    stream.subscribe_news(heard.hear, "AAPL")
    apart(stream.run)
    until(lambda: stream._running, "a running stream")
    say("news", article={"id": 5, "headline": "Something", "summary": "It happened.", "content": "At length.",
                         "created_ns": 1767711600 * 10**9, "updated_ns": 1767711660 * 10**9, "symbols": ["AAPL", "MSFT"],
                         "url": "https://news.example/5"})
    say("news", article={"id": 6, "headline": "Elsewhere", "symbols": ["MSFT"]})
    until(lambda: heard, "an article")
    same((heard[0].id, heard[0].headline, heard[0].symbols, heard[0].updated_at.minute),
         (5, "Something", ["AAPL", "MSFT"], 1))
    same(len(heard), 1)
    stream.stop()


def trade_updates(binary):
    """What becomes of orders, over both kinds of frames, and while nobody listens."""
    call("PATCH", "/settings", {"alpaca_trading": {"binary": binary}})
    stream = TradingStream(KEY, SECRET, url_override=TRADING + "/stream")
    stream._reconnect_min_backoff = 0.1
    heard = Heard()
    stream.subscribe_trade_updates(heard.hear)
    apart(stream.run)
    until(lambda: said("alpaca_trading", "listen"), "a subscription")
    until(lambda: stream._running, "a running stream")
    same(connection("alpaca_trading")["binary"], binary)
    trading = TradingClient(KEY, SECRET, url_override=ADDRESSES["alpaca_trading"])
    order = trading.submit_order(MarketOrderRequest(
        symbol="AAPL", side=OrderSide.BUY, qty=10, time_in_force=TimeInForce.DAY))
    until(lambda: len(heard) == 2, "new and fill")
    same([update.event for update in heard], [TradeEvent.NEW, TradeEvent.FILL])
    fill = heard[1]
    same((fill.order.id, fill.qty, fill.position_qty, fill.order.filled_qty), (order.id, 10.0, 10.0, "10"))
    near(fill.price, call("GET", "/market/quote", symbol="AAPL")["ask"])
    assert fill.execution_id is not None and fill.execution_id != heard[0].execution_id

    resting = trading.submit_order(LimitOrderRequest(
        symbol="AAPL", side=OrderSide.BUY, qty=9, time_in_force=TimeInForce.DAY, limit_price=100))
    call("POST", f"/orders/{resting.id}", {"do": "fill", "qty": "4", "price": "100"})
    call("POST", f"/orders/{resting.id}", {"do": "announce", "event": "suspended"})
    trading.cancel_order_by_id(resting.id)
    until(lambda: len(heard) == 6, "the rest")
    same([str(getattr(update.event, "value", update.event)) for update in heard[2:]],
         ["new", "partial_fill", "suspended", "canceled"])
    same((heard[3].qty, heard[3].price, heard[3].position_qty), (4.0, 100.0, 14.0))
    call("POST", f"/orders/{resting.id}", {"do": "correct", "price": "99"})
    call("POST", f"/orders/{resting.id}", {"do": "bust"})
    until(lambda: len(heard) == 8, "a correction and a bust")
    same([update.event for update in heard[6:]], ["trade_correct", "trade_bust"])
    same(heard[7].position_qty, 10.0)

    # A fill while nobody listens is not told again.
    late = trading.submit_order(LimitOrderRequest(
        symbol="AAPL", side=OrderSide.BUY, qty=1, time_in_force=TimeInForce.DAY, limit_price=100))
    until(lambda: len(heard) == 9, "new")
    stream._reconnect_min_backoff = 1.0
    stream_fault("alpaca_trading", kind="trade_updates", fault="cut")
    old = connection("alpaca_trading")["number"]
    call("POST", f"/orders/{late.id}", {"do": "announce", "event": "pending_cancel"})
    call("POST", f"/orders/{late.id}", {"do": "fill"})
    until(lambda: connection("alpaca_trading") and connection("alpaca_trading")["number"] != old, "another connection")
    until(lambda: len(said("alpaca_trading", "listen")) == 2, "another subscription")
    same(trading.get_order_by_id(late.id).filled_qty, "1")
    until(lambda: stream._running, "a running stream")
    call("POST", f"/orders/{late.id}", {"do": "announce", "event": "calculated"})
    until(lambda: len(heard) == 10, "what came after")
    same(heard[9].event, "calculated")
    stream.stop()


reset()
market_data()
reset()
faults_of_market_data()
reset()
news()
for binary in (True, False):
    reset()
    call("DELETE", "/requests")
    trade_updates(binary)
print("alpaca_streams: as served")
