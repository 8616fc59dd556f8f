"""massive's clients: REST and the stream of stocks."""

import datetime

import requests
import urllib3
from massive import RESTClient, WebSocketClient
from massive.exceptions import BadResponse

from stand import ADDRESSES, KEY, apart, asked, bars, call, fault, near, raises, reset, same, stream_fault, until

MASSIVE = ADDRESSES["massive"]


def client(key=KEY, **more):
    return RESTClient(key, base=MASSIVE, **more)


def equal_bars(got, want):
    same(len(got), len(want), "bars")
    assert got, "no bars were compared"
    for bar, row in zip(got, want):
        same(bar.timestamp * 10**6, row["start_ns"], "timestamp")
        same((bar.open, bar.high, bar.low, bar.close, bar.vwap, bar.transactions),
             tuple(row[name] for name in ("open", "high", "low", "close", "vwap", "trades")))
        same(bar.volume, float(row["volume"]))


def aggregates(rest):
    """Bars in pages, adjusted and not, of one symbol and of all."""
    day = {"start": "2026-01-05T00:00:00Z", "end": "2026-01-05T23:59:00Z"}
    got = list(rest.list_aggs("AAPL", 1, "minute", "2026-01-05", "2026-01-05", limit=150))
    equal_bars(got, bars("AAPL", **day))
    pages = asked("massive", "/v2/aggs/ticker/AAPL")
    same(len(pages), 3, "390 minutes in pages of 150")
    assert all("apiKey" not in row["query"] and row["headers"]["authorization"] == f"Bearer {KEY}" for row in pages)
    hours = rest.get_aggs("AAPL", 1, "hour", "2026-01-05", "2026-01-05", limit=120)
    equal_bars(hours, bars("AAPL", "1Hour", **day)[:2])
    descending = rest.get_aggs("AAPL", 5, "minute", "2026-01-05", "2026-01-05", sort="desc")
    equal_bars(descending, bars("AAPL", "5Min", **day)[::-1])
    start = datetime.datetime(2026, 1, 5, 15, tzinfo=datetime.timezone.utc)
    equal_bars(rest.get_aggs("AAPL", 1, "minute", start, start + datetime.timedelta(minutes=4)),
               bars("AAPL", start="2026-01-05T15:00:00Z", end="2026-01-05T15:04:00Z"))
    for adjusted, name in ((True, "split"), (False, "raw")):
        got = rest.get_aggs("NVDA", 1, "day", "2024-06-05", "2024-06-12", adjusted=adjusted)
        equal_bars(got, bars("NVDA", "1Day", start="2024-06-05", end="2024-06-12", adjustment=name))
    same(rest.get_aggs("NOPE", 1, "day", "2026-01-05", "2026-01-05"), [], "no results at all")

    want = bars("AAPL", "1Day", start="2026-01-05", end="2026-01-05")[0]
    grouped = {row.ticker: row for row in rest.get_grouped_daily_aggs("2026-01-05")}
    assert "GONE" not in grouped and len(grouped) == 8, sorted(grouped)
    same((grouped["AAPL"].close, grouped["AAPL"].volume), (want["close"], float(want["volume"])))
    same(grouped["AAPL"].timestamp, 1767646800000, "the close, not midnight")
    same(rest.get_grouped_daily_aggs("2026-01-04"), [], "a Sunday")
    same(rest.get_previous_close_agg("AAPL")[0].close, want["close"])
    whole = rest.get_daily_open_close_agg("AAPL", "2026-01-05")
    same((whole.symbol, whole.open, whole.close, whole.status), ("AAPL", want["open"], want["close"], "OK"))


def reference(rest):
    """Tickers, splits, dividends, holidays, news."""
    tickers = {row.ticker: row for row in rest.list_tickers(limit=3)}
    same(sorted(tickers), ["AAPL", "BRK.B", "MSFT", "NEWC", "NVDA", "PENY", "SPY", "THIN"])
    same(len(asked("massive", "/v3/reference/tickers")), 3, "pages")
    same((tickers["AAPL"].type, tickers["AAPL"].primary_exchange, tickers["SPY"].type), ("CS", "XNAS", "ETF"))
    gone = list(rest.list_tickers(active=False))
    same([(row.ticker, row.active, row.delisted_utc) for row in gone], [("GONE", False, "2024-06-03T00:00:00Z")])
    before = [row.ticker for row in rest.list_tickers(date="2024-01-02")]
    assert "GONE" in before and "NEWC" not in before, "as of a day"
    same([row.ticker for row in rest.list_tickers(ticker_gte="N", ticker_lt="P")], ["NEWC", "NVDA"])
    same([row.ticker for row in rest.list_tickers(search="berkshire")], ["BRK.B"])
    details = rest.get_ticker_details("AAPL")
    same((details.name, details.total_employees, details.list_date), ("Apple Inc.", 164000, "2015-01-02"))
    same((details.address.city, details.branding.icon_url is not None), ("Springfield", True))
    raises(BadResponse, lambda: rest.get_ticker_details("NOPE"))

    splits = list(rest.list_splits())
    same([(row.ticker, row.execution_date, row.split_from, row.split_to) for row in splits],
         [("PENY", "2025-03-03", 20, 1), ("NVDA", "2024-06-10", 1, 10), ("AAPL", "2020-08-31", 1, 4)])
    same([row.ticker for row in rest.list_splits(execution_date_gte="2024-01-01", order="asc")], ["NVDA", "PENY"])
    dividends = list(rest.list_dividends("AAPL", limit=3))
    same([(row.cash_amount, row.ex_dividend_date, row.frequency, row.dividend_type) for row in dividends][:1],
         [(0.26, "2025-11-10", 4, "CD")])
    same(len(dividends), 4)
    same([row.dividend_type for row in rest.list_dividends("MSFT")], ["SC"])
    newer = list(rest.list_stocks_splits(ticker="NVDA"))
    same([(row.adjustment_type, row.historical_adjustment_factor) for row in newer], [("forward_split", 0.1)])
    adjusted = list(rest.list_stocks_dividends(ticker="AAPL"))
    same((adjusted[0].distribution_type, adjusted[0].split_adjusted_cash_amount), ("recurring", 0.26))
    assert adjusted[-1].historical_adjustment_factor < adjusted[0].historical_adjustment_factor < 1

    holidays = rest.get_market_holidays()
    same([(row.exchange, row.date, row.status) for row in holidays if row.exchange == "NYSE"][:2],
         [("NYSE", "2026-01-19", "closed"), ("NYSE", "2026-02-16", "closed")])
    early = [row for row in holidays if row.status == "early-close"]
    same((early[0].date, early[0].close), ("2026-11-27", "2026-11-27T18:00:00.000Z"))
    same(rest.get_market_status().market, "open")
    articles = call("GET", "/market/articles")[::-1]
    told = [row for _, row in zip(range(25), rest.list_ticker_news(limit=10))]
    same([(row.title, row.tickers) for row in told], [(row["headline"], row["symbols"]) for row in articles[:25]])
    same((told[0].publisher.name, told[0].description), ("benzinga", articles[0]["summary"]))


def ticks(rest):
    """Trades, quotes and snapshots, in nanoseconds."""
    span = {"timestamp_gte": "2026-01-06T14:45:00Z", "timestamp_lt": "2026-01-06T14:47:00Z"}
    trades = list(rest.list_trades("AAPL", order="asc", limit=3, **span))
    minute = bars("AAPL", start="2026-01-06T14:45:00Z")[0]
    same((len(trades), trades[0].price, trades[0].sip_timestamp // 10**9), (8, minute["open"], 1767710700 + 12))
    quotes = list(rest.list_quotes("AAPL", order="asc", **span))
    same(len(quotes), 12)
    assert all(quote.bid_price < quote.ask_price for quote in quotes)
    now = call("GET", "/market/quote", symbol="AAPL")
    same(rest.get_last_trade("AAPL").price, now["last"])
    last = rest.get_last_quote("AAPL")
    same((last.bid_price, last.ask_price), (now["bid"], now["ask"]))
    snapshot = rest.get_snapshot_ticker("stocks", "AAPL")
    before, day = bars("AAPL", "1Day", start="2026-01-05", end="2026-01-06")
    same((snapshot.ticker, snapshot.last_trade.price, snapshot.prev_day.close, snapshot.day.volume),
         ("AAPL", now["last"], before["close"], float(day["volume"])))
    near(snapshot.todays_change, now["last"] - before["close"])
    same(sorted(row.ticker for row in rest.get_snapshot_all("stocks", ["AAPL", "MSFT"])), ["AAPL", "MSFT"])


def refusals():
    """Errors, and how often the client repeats."""
    error = str(raises(BadResponse, lambda: client("wrong").get_market_status()))
    assert "Unknown API Key" in error, error
    bare = requests.get(MASSIVE + "/v1/marketstatus/now")
    same((bare.status_code, bare.json()["error"]), (401, "API Key was not provided"))
    same(requests.get(MASSIVE + "/v1/marketstatus/now", params={"apiKey": KEY}).status_code, 200)
    call("DELETE", "/requests")
    fault("massive", fault="answer", status=403, body={"status": "NOT_AUTHORIZED", "request_id": "1",
                                                       "message": "You are not entitled to this data."})
    assert "NOT_AUTHORIZED" in str(raises(BadResponse, client().get_market_status))
    call("PATCH", "/settings", {"massive": {"status": "DELAYED"}, "requests_per_minute": {"massive": 2}})
    raw = client().get_aggs("AAPL", 1, "day", "2026-01-05", "2026-01-05", raw=True)
    assert b'"DELAYED"' in raw.data
    client().get_market_status()
    call("DELETE", "/requests")
    raises(urllib3.exceptions.MaxRetryError, lambda: client(retries=2).get_market_status())
    same([row["status"] for row in asked("massive")], [429] * 3, "each attempt burns the quota")


def stream():
    """The stream of stocks, and what the client does when it ends."""
    feed = MASSIVE.removeprefix("http://")
    heard = []
    socket = WebSocketClient(KEY, feed=feed, secure=False, market="stocks",
                             subscriptions=["AM.*", "T.AAPL", "Q.AAPL", "LULD.AAPL"])
    apart(lambda: socket.run(lambda messages: heard.extend(messages)))

    def said(action):
        return [row["body"] for row in call("GET", "/messages", vendor="massive") if row["body"]["action"] == action]

    until(lambda: said("subscribe"), "a subscription")
    same(said("auth"), [{"action": "auth", "params": KEY}])
    until(lambda: socket.subs, "the subscription's answer")
    call("POST", "/clock", {"advance_ms": 60000})
    until(lambda: len([row for row in heard if row.event_type == "AM"]) == 8, "bars of a minute")
    want = bars("AAPL", start="2026-01-06T15:00:00Z")[0]
    day = bars("AAPL", "1Day", start="2026-01-06", end="2026-01-06")[0]
    bar = [row for row in heard if row.event_type == "AM" and row.symbol == "AAPL"][0]
    same((bar.open, bar.high, bar.low, bar.close, bar.vwap, bar.volume),
         tuple(want[name] for name in ("open", "high", "low", "close", "vwap", "volume")))
    same((bar.start_timestamp * 10**6, bar.end_timestamp - bar.start_timestamp), (want["start_ns"], 60000))
    same((bar.accumulated_volume, bar.official_open_price), (day["volume"], day["open"]))
    until(lambda: len([row for row in heard if row.event_type == "Q"]) == 6, "quotes")
    trades = [row for row in heard if row.event_type == "T"]
    same((len(trades), trades[0].price, trades[-1].price), (4, want["open"], want["close"]))
    numbers = [row.sequence_number for row in heard if row.event_type in ("T", "Q")]
    same(numbers, sorted(numbers))
    call("POST", "/market/say", {"kind": "bands", "symbol": "AAPL", "up": 2000000, "down": 1800000, "indicator": "B"})
    until(lambda: [row for row in heard if row.event_type == "LULD"], "price bands")
    band = [row for row in heard if row.event_type == "LULD"][0]
    same((band.symbol, band.high_price, band.low_price), ("AAPL", 200.0, 180.0))

    stream_fault("massive", kind="AM", fault="cut")
    call("POST", "/clock", {"advance_ms": 60000})
    until(lambda: len(said("subscribe")) == 2, "the client comes back and subscribes again")
    same(sorted(said("subscribe")[1]["params"].split(",")), ["AM.*", "LULD.AAPL", "Q.AAPL", "T.AAPL"])
    heard.clear()
    until(lambda: call("GET", "/connections")[-1]["open"], "a connection")
    call("POST", "/clock", {"advance_ms": 60000})
    until(lambda: len([row for row in heard if row.event_type == "AM"]) == 8, "bars over the new connection")
    socket.unsubscribe("AM.*")
    until(lambda: said("unsubscribe"), "an end of a subscription")

    failed = []
    def refused():
        try:
            WebSocketClient("wrong", feed=feed, secure=False, subscriptions=["T.*"]).run(lambda messages: None)
        except Exception as error:
            failed.append(error)
    apart(refused)
    until(lambda: failed, "a wrong key's end")
    same((type(failed[0]).__name__, str(failed[0])), ("AuthError", "authentication failed"))
    call("POST", "/hang-up", {"vendor": "massive", "code": 1000})


for part in (aggregates, reference, ticks):
    reset()
    part(client())
reset()
refusals()
reset()
stream()
print("massive_client: as served")
