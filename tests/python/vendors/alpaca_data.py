"""alpaca-py's clients of historical data: bars, quotes, trades, the latest, snapshots, news, corporate actions."""

import datetime
from datetime import date

from alpaca.common.enums import Sort
from alpaca.common.exceptions import APIError
from alpaca.data.enums import Adjustment, CorporateActionsType, DataFeed
from alpaca.data.historical.corporate_actions import CorporateActionsClient
from alpaca.data.historical.news import NewsClient
from alpaca.data.historical.stock import StockHistoricalDataClient
from alpaca.data.requests import (
    CorporateActionsRequest,
    NewsRequest,
    StockBarsRequest,
    StockLatestBarRequest,
    StockLatestQuoteRequest,
    StockLatestTradeRequest,
    StockQuotesRequest,
    StockSnapshotRequest,
    StockTradesRequest,
)
from alpaca.data.timeframe import TimeFrame, TimeFrameUnit

from stand import ADDRESSES, KEY, SECRET, asked, bars, call, fault, near, raises, reset, same

DATA = ADDRESSES["alpaca_data"]
UTC = datetime.timezone.utc


def stocks(**more):
    return StockHistoricalDataClient(KEY, SECRET, url_override=DATA, **more)


def utc(*parts):
    return datetime.datetime(*parts, tzinfo=UTC)


def equal_bars(got, want):
    """Every field of every bar."""
    same(len(got), len(want), "bars")
    assert got, "no bars were compared"
    for bar, row in zip(got, want):
        same(int(bar.timestamp.timestamp()) * 10**9, row["start_ns"], "timestamp")
        same((bar.open, bar.high, bar.low, bar.close, bar.vwap),
             tuple(row[name] for name in ("open", "high", "low", "close", "vwap")))
        same((bar.volume, bar.trade_count), (row["volume"], row["trades"]))


def history(client):
    """Bars of every unit and adjustment, over several symbols, in several pages."""
    start, end = utc(2026, 1, 5, 14, 30), utc(2026, 1, 5, 20, 59)
    request = StockBarsRequest(symbol_or_symbols=["MSFT", "AAPL", "NOPE"], timeframe=TimeFrame.Minute, start=start, end=end)
    found = client.get_stock_bars(request)
    same(sorted(found.data), ["AAPL", "MSFT"], "a symbol without data is absent")
    for symbol in ("AAPL", "MSFT"):
        equal_bars(found[symbol], bars(symbol, start=start.isoformat(), end=end.isoformat()))
    same(len(asked("alpaca_data", "/v2/stocks/bars")), 1)
    call("PATCH", "/settings", {"alpaca_data": {"page_max": 333}})
    same(client.get_stock_bars(request).data, found.data, "in pages it is the same")
    same(len(asked("alpaca_data", "/v2/stocks/bars")), 4, "780 rows in pages of 333")
    call("PATCH", "/settings", {"alpaca_data": {"page_max": 10000}})
    limited = client.get_stock_bars(StockBarsRequest(
        symbol_or_symbols="AAPL", timeframe=TimeFrame.Minute, start=start, limit=7))
    equal_bars(limited["AAPL"], bars("AAPL", start=start.isoformat())[:7])
    newest = client.get_stock_bars(StockBarsRequest(
        symbol_or_symbols="AAPL", timeframe=TimeFrame.Minute, start=start, end=end, limit=3, sort=Sort.DESC))
    equal_bars(newest["AAPL"], bars("AAPL", start=start.isoformat(), end=end.isoformat())[:-4:-1])

    for frame, name in (
        (TimeFrame(15, TimeFrameUnit.Minute), "15Min"), (TimeFrame.Hour, "1Hour"), (TimeFrame.Day, "1Day"),
        (TimeFrame.Week, "1Week"), (TimeFrame.Month, "1Month"), (TimeFrame(3, TimeFrameUnit.Month), "3Month"),
    ):
        got = client.get_stock_bars(StockBarsRequest(
            symbol_or_symbols="MSFT", timeframe=frame, start=utc(2025, 10, 1), end=utc(2025, 12, 31)))
        equal_bars(got["MSFT"], bars("MSFT", name, start="2025-10-01T00:00:00Z", end="2025-12-31T00:00:00Z"))
    days = client.get_stock_bars(StockBarsRequest(
        symbol_or_symbols="SPY", timeframe=TimeFrame.Day, start=utc(2025, 10, 31), end=utc(2025, 11, 4)))["SPY"]
    same([day.timestamp for day in days], [utc(2025, 10, 31, 4), utc(2025, 11, 3, 5)],
         "New York's midnight, in summer and winter")

    for adjustment, name in ((Adjustment.RAW, "raw"), (Adjustment.SPLIT, "split"), (Adjustment.ALL, "all")):
        got = client.get_stock_bars(StockBarsRequest(
            symbol_or_symbols="AAPL", timeframe=TimeFrame.Day, start=utc(2020, 8, 26), end=utc(2020, 9, 3),
            adjustment=adjustment))
        equal_bars(got["AAPL"], bars("AAPL", "1Day", start="2020-08-26T00:00:00Z", end="2020-09-03T00:00:00Z",
                                     adjustment=name))
    raw = bars("AAPL", "1Day", start="2020-08-28", end="2020-08-28")[0]
    split = bars("AAPL", "1Day", start="2020-08-28", end="2020-08-28", adjustment="split")[0]
    same(raw["close"], split["close"] * 4, "four for one")
    near(raw["volume"] * 4, split["volume"], within=1e-2)
    small = client.get_stock_bars(StockBarsRequest(
        symbol_or_symbols="AAPL", timeframe=TimeFrame.Minute, start=start, end=end, feed=DataFeed.IEX))["AAPL"]
    assert sum(bar.volume for bar in small) * 30 < sum(bar.volume for bar in found["AAPL"]), "a small exchange"


def ticks(client):
    """Quotes and trades, and the latest of everything."""
    start, end = utc(2026, 1, 6, 14, 45), utc(2026, 1, 6, 14, 47)
    span = {"symbol_or_symbols": "AAPL", "start": start, "end": end}
    trades = client.get_stock_trades(StockTradesRequest(**span))["AAPL"]
    minute = bars("AAPL", start=start.isoformat())[0]
    same(len(trades), 8)
    same((trades[0].price, trades[3].price, trades[0].exchange, trades[0].conditions, trades[0].tape),
         (minute["open"], minute["close"], "V", ["@"], "C"))
    same([trade.timestamp for trade in trades], sorted(trade.timestamp for trade in trades))
    quotes = client.get_stock_quotes(StockQuotesRequest(**span))["AAPL"]
    same(len(quotes), 12)
    assert all(quote.bid_price < quote.ask_price and quote.bid_size % 100 == 0 for quote in quotes)

    now = call("GET", "/market/quote", symbol="AAPL")
    latest = client.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols=["AAPL", "NOPE"]))
    same((list(latest), latest["AAPL"].bid_price, latest["AAPL"].ask_price), (["AAPL"], now["bid"], now["ask"]))
    same(client.get_stock_latest_trade(StockLatestTradeRequest(symbol_or_symbols="AAPL"))["AAPL"].price, now["last"])
    last = client.get_stock_latest_bar(StockLatestBarRequest(symbol_or_symbols="AAPL"))["AAPL"]
    equal_bars([last], bars("AAPL", start="2026-01-06T14:30:00Z")[-1:])
    snapshot = client.get_stock_snapshot(StockSnapshotRequest(symbol_or_symbols=["AAPL", "MSFT"]))["AAPL"]
    same((snapshot.latest_trade.price, snapshot.latest_quote.ask_price), (now["last"], now["ask"]))
    equal_bars([snapshot.previous_daily_bar, snapshot.daily_bar],
               bars("AAPL", "1Day", start="2026-01-05", end="2026-01-06"))
    equal_bars([snapshot.minute_bar], bars("AAPL", start="2026-01-06T14:30:00Z")[-1:])
    auctions = client.get("/stocks/auctions", {"symbols": "AAPL", "start": "2026-01-05", "end": "2026-01-05"})
    day = bars("AAPL", "1Day", start="2026-01-05", end="2026-01-05")[0]
    same((auctions["auctions"]["AAPL"][0]["o"][0]["p"], auctions["auctions"]["AAPL"][0]["c"][0]["p"]),
         (day["open"], day["close"]))
    one = client.get("/stocks/AAPL/bars", {"timeframe": "1Day", "start": "2026-01-05", "end": "2026-01-05"})
    same((one["symbol"], one["bars"][0]["c"], one["next_page_token"]), ("AAPL", day["close"], None))
    same(client.get("/stocks/AAPL/quotes/latest")["quote"]["ap"], now["ask"])


def articles():
    """News in pages, with and without their text."""
    client = NewsClient(KEY, SECRET, url_override=DATA)
    known = call("GET", "/market/articles")[::-1]
    newest = client.get_news(NewsRequest(limit=3)).data["news"]
    same([article.id for article in newest], [article["id"] for article in known[:3]])
    same((newest[0].headline, newest[0].content, newest[0].source), (known[0]["headline"], "", "benzinga"))
    same([image.size.value for image in newest[0].images], ["large", "small", "thumb"])
    same(int(newest[0].updated_at.timestamp()) * 10**9, known[0]["updated_ns"])
    about = client.get_news(NewsRequest(symbols="AAPL", include_content=True, sort=Sort.ASC)).data["news"]
    wanted = [article for article in known[::-1] if "AAPL" in article["symbols"]]
    same([(article.id, article.content) for article in about],
         [(article["id"], article["content"]) for article in wanted], "every page")
    everything = client.get_news(NewsRequest(limit=120)).data["news"]
    same(len(everything), 120)
    same(len(asked("alpaca_data", "/v1beta1/news")) > 4, True, "fifty in a page at most")


def actions():
    """Splits and dividends."""
    client = CorporateActionsClient(KEY, SECRET, url_override=DATA)
    same(client.get_corporate_actions(CorporateActionsRequest()).data, {}, "without a range it is today alone")
    found = client.get_corporate_actions(CorporateActionsRequest(
        symbols=["AAPL", "NVDA", "PENY"], start=date(2020, 1, 1), end=date(2026, 1, 6))).data
    forward = {row.symbol: (row.old_rate, row.new_rate, row.ex_date) for row in found["forward_splits"]}
    same(forward, {"AAPL": (1, 4, date(2020, 8, 31)), "NVDA": (1, 10, date(2024, 6, 10))})
    reverse = found["reverse_splits"][0]
    same((reverse.symbol, reverse.old_rate, reverse.new_rate), ("PENY", 20, 1))
    assert reverse.old_cusip != reverse.new_cusip
    same([(row.rate, row.ex_date.month, row.special) for row in found["cash_dividends"]],
         [(0.26, 2, False), (0.26, 5, False), (0.26, 8, False), (0.26, 11, False)])
    only = client.get_corporate_actions(CorporateActionsRequest(
        types=[CorporateActionsType.CASH_DIVIDEND], start=date(2025, 1, 1), end=date(2026, 1, 6), limit=2)).data
    same({kind: len(rows) for kind, rows in only.items()}, {"cash_dividends": 2})
    every_kind(client)


def every_kind(client):
    """Actions of each kind that the client knows, in the shapes that it reads."""
    day = {"ex_date": "2025-11-14", "record_date": "2025-11-14", "payable_date": "2025-11-17"}
    effective = {"effective_date": "2025-11-14", "payable_date": "2025-11-17"}
    parties = {"acquirer_symbol": "MSFT", "acquirer_cusip": "000000001", "acquiree_symbol": "AAPL", "acquiree_cusip": "000000002"}
    new = {"new_symbol": "NEWS", "new_cusip": "000000003"}
    one = {"symbol": "AAPL", "cusip": "000000002"}
    source = {"source_symbol": "AAPL", "source_cusip": "000000002"}
    old = {"old_symbol": "AAPL", "old_cusip": "000000002"}
    rates = {"acquirer_rate": 0.5, "acquiree_rate": 1}
    shapes = {
        "stock_dividends": {**one, **day, "rate": 0.05},
        "unit_splits": {**old, **new, **effective, "old_rate": 1, "new_rate": 1, "alternate_symbol": "OTHR",
                        "alternate_cusip": "000000004", "alternate_rate": 0.3333},
        "spin_offs": {**source, **new, **day, "source_rate": 4, "new_rate": 1},
        "cash_mergers": {**parties, **effective, "rate": 12.5},
        "stock_mergers": {**parties, **rates, **effective},
        "stock_and_cash_mergers": {**parties, **rates, **effective, "cash_rate": 3.25},
        "redemptions": {**one, "rate": 10.5, "payable_date": "2025-11-17"},
        "name_changes": {**old, **new},
        "worthless_removals": one,
        "rights_distributions": {**source, **new, **day, "rate": 1, "expiration_date": "2025-12-12"},
    }
    for kind, fields in shapes.items():
        call("PUT", "/market/actions", {"kind": kind, "process_date": "2025-11-17", "fields": fields})
    span = {"symbols": ["AAPL"], "start": date(2025, 11, 17), "end": date(2025, 11, 17)}
    found = client.get_corporate_actions(CorporateActionsRequest(**span)).data
    same(sorted(found), sorted(shapes))
    for kind, fields in shapes.items():
        [row] = found[kind]
        read = row.model_dump(mode="json")
        same({name: read[name] for name in fields}, fields, kind)
        same(read["process_date"], "2025-11-17", kind)
    one_kind = CorporateActionsRequest(types=[CorporateActionsType.SPIN_OFF], **span)
    same(list(client.get_corporate_actions(one_kind).data), ["spin_offs"])
    by_other = CorporateActionsRequest(symbols=["MSFT"], start=span["start"], end=span["end"])
    same(sorted(client.get_corporate_actions(by_other).data), ["cash_mergers", "stock_and_cash_mergers", "stock_mergers"])


def corrections(client):
    """A minute that is taken out, one that is set, one that was revised."""
    start = "2026-01-05T15:00:00Z"
    call("PUT", "/market/minute", {"symbol": "AAPL", "start": start, "bar": None})
    call("PUT", "/market/minute", {"symbol": "AAPL", "start": "2026-01-05T15:01:00Z", "bar": {
        "open": 1.25, "high": 2.5, "low": 1, "close": 2, "volume": 7, "trades": 3, "vwap": 1.5}})
    got = client.get_stock_bars(StockBarsRequest(
        symbol_or_symbols="AAPL", timeframe=TimeFrame.Minute, start=utc(2026, 1, 5, 15), end=utc(2026, 1, 5, 15, 2)))["AAPL"]
    same([(bar.timestamp.minute, bar.open, bar.volume, bar.vwap) for bar in got][:1], [(1, 1.25, 7, 1.5)])
    same(len(got), 2)


def refusals(client):
    """What is refused, and what the client makes of it."""
    call("PATCH", "/settings", {"alpaca_data": {"sip": False}})
    request = StockBarsRequest(symbol_or_symbols="AAPL", timeframe=TimeFrame.Minute, start=utc(2026, 1, 6, 14))
    error = raises(APIError, lambda: client.get_stock_bars(request))
    same((error.status_code, error.message), (403, "subscription does not permit querying recent SIP data"))
    request.end = utc(2026, 1, 6, 14, 45)
    near(len(client.get_stock_bars(request)["AAPL"]), 15, within=1)
    request.feed, request.end = DataFeed.IEX, None
    same(len(client.get_stock_bars(request)["AAPL"]), 30, "IEX is not late")
    request.symbol_or_symbols = "aapl!"
    same(raises(APIError, lambda: client.get_stock_bars(request)).status_code, 400)
    for query in ({"timeframe": "60Min"}, {"timeframe": "1Min", "limit": 10001}, {"timeframe": "1Min", "page_token": "?"}):
        same(raises(APIError, lambda: client.get("/stocks/bars", {"symbols": "AAPL", "feed": "iex", **query})).status_code, 400)
    quick = stocks()
    quick._retry_wait = 0.1
    fault("alpaca_data", "/v2/stocks/bars", fault="answer", status=429, headers={"Retry-After": "1"},
          body={"message": "too many requests."})
    fault("alpaca_data", "/v2/stocks/bars", fault="patch", merge={"bars": {"AAPL": None}})
    request.symbol_or_symbols = "AAPL"
    same(quick.get_stock_bars(request).data, {}, "nothing there")
    same([row["status"] for row in asked("alpaca_data", "/v2/stocks/bars")][-2:], [429, 200])


for part in (history, ticks, corrections, refusals):
    reset()
    part(stocks())
reset()
articles()
actions()
print("alpaca_data: as served")
