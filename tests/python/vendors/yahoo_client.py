"""yfinance: charts, company facts, statements, and how it gets past the crumb. It knows no other address than
Yahoo's, so its session is redirected below."""

import os
import tempfile

# Its other way to speak HTTP cannot be redirected, and knows its own errors only.
os.environ["YF_DISABLE_CURL_CFFI"] = "1"

import numpy
import pandas
import requests
import yfinance
from requests.adapters import HTTPAdapter
from yfinance.exceptions import YFPricesMissingError, YFRateLimitError

from stand import ADDRESSES, asked, bars, call, fault, near, raises, reset, same

YAHOO = ADDRESSES["yahoo"]
TZ = "America/New_York"


class Redirected(HTTPAdapter):
    """Sends what is meant for Yahoo to the stand-in; the session's cookies see Yahoo's names."""

    def send(self, request, **more):
        meant = request.url
        copy = request.copy()
        copy.url = YAHOO + "/" + meant.split("://", 1)[1].partition("/")[2]
        if "/" not in meant.split("://", 1)[1] and "?" in meant:
            copy.url = YAHOO + "/?" + meant.partition("?")[2]
        answer = super().send(copy, **more)
        answer.url, answer.request = meant, request
        return answer


def session():
    made = requests.Session()
    made.mount("https://", Redirected())
    return made


def fresh():
    """A client that remembers nothing: cookie, crumb and answers are kept by the module."""
    from yfinance.data import SingletonMeta, YfData
    SingletonMeta._instances.pop(YfData, None)
    YfData.cache_get.cache_clear()
    yfinance.cache._CookieCacheManager._Cookie_cache = None
    yfinance.set_tz_cache_location(tempfile.mkdtemp())
    yfinance.config.debug.hide_exceptions = False


def ticker(symbol):
    return yfinance.Ticker(symbol, session=session())


def equal(frame, rows, column="Close"):
    """Times and prices, the latter in single precision."""
    same(len(frame), len(rows), "rows")
    assert len(rows), "no rows were compared"
    same([int(stamp.timestamp()) * 10**9 for stamp in frame.index], [row["start_ns"] for row in rows])
    for name in ("Open", "High", "Low", "Close"):
        for got, row in zip(frame[name], rows):
            same(float(got), float(numpy.float32(row[name.lower()])), name)
    same([int(volume) for volume in frame["Volume"]], [row["volume"] for row in rows])


def charts():
    """Days, weeks, minutes; splits and dividends; empty minutes."""
    fresh()
    apple = ticker("AAPL")
    frame = apple.history(start="2025-07-01", end="2025-12-31", interval="1d", auto_adjust=False)
    want = bars("AAPL", "1Day", start="2025-07-01", end="2025-12-30", adjustment="split", anchor="open")
    whole = bars("AAPL", "1Day", start="2025-07-01T00:00:00Z", end="2025-12-31T00:00:00Z", adjustment="split")
    same(len(frame), len(whole))
    same([stamp.strftime("%Y-%m-%d") for stamp in frame.index],
         [pandas.Timestamp(row["start_ns"], tz="UTC").tz_convert(TZ).strftime("%Y-%m-%d") for row in whole])
    for got, row in zip(frame["Close"], whole):
        same(float(got), float(numpy.float32(row["close"])))
    paid = frame[frame["Dividends"] > 0]
    same([(stamp.strftime("%m-%d"), amount) for stamp, amount in paid["Dividends"].items()],
         [("08-11", 0.26), ("11-10", 0.26)])
    adjusted = bars("AAPL", "1Day", start="2025-07-01T00:00:00Z", end="2025-12-31T00:00:00Z", adjustment="all")
    for got, row in zip(frame["Adj Close"], adjusted):
        near(got, row["close"], within=1e-5)
    near(apple.history(start="2025-07-01", end="2025-07-03", interval="1d")["Close"].iloc[0], adjusted[0]["close"],
         "adjusted by itself", within=1e-5)
    same(apple.history_metadata["currency"], "USD")

    nvidia = ticker("NVDA").history(start="2024-06-05", end="2024-06-13", interval="1d", auto_adjust=False)
    same([(stamp.strftime("%m-%d"), ratio) for stamp, ratio in nvidia["Stock Splits"].items() if ratio], [("06-10", 10.0)])
    split = bars("NVDA", "1Day", start="2024-06-05", end="2024-06-12", adjustment="split")
    same([float(close) for close in nvidia["Close"]], [float(numpy.float32(row["close"])) for row in split])
    weeks = apple.history(start="2025-11-03", end="2025-11-29", interval="1wk", auto_adjust=False)
    same(len(weeks), 4)

    call("PUT", "/market/minute", {"symbol": "AAPL", "start": "2026-01-05T15:00:00Z", "bar": None})
    minutes = apple.history(start="2026-01-05", end="2026-01-06", interval="1m", auto_adjust=False)
    equal(minutes, bars("AAPL", start="2026-01-05T00:00:00Z", end="2026-01-05T23:59:00Z"))
    kept = apple.history(start="2026-01-05", end="2026-01-06", interval="1m", auto_adjust=False, keepna=True)
    same((len(kept), int(kept["Close"].isna().sum())), (390, 1), "an empty minute is there and empty")
    hours = apple.history(start="2026-01-05", end="2026-01-06", interval="1h", auto_adjust=False)
    same([stamp.strftime("%H:%M") for stamp in hours.index], [f"{hour:02}:30" for hour in range(9, 16)])
    halves = apple.history(start="2026-01-05", end="2026-01-06", interval="30m", auto_adjust=False)
    same(len(halves), 13, "asked for as quarters of an hour")
    month = apple.history(period="1mo", interval="1d", auto_adjust=False)
    same(int(month.index[-1].strftime("%d")), 6, "the present day is there")
    class_b = ticker("BRK-B").history(start="2026-01-05", end="2026-01-06", interval="1d", auto_adjust=False)
    want = bars("BRK.B", "1Day", start="2026-01-05", end="2026-01-05")
    same(float(class_b["Close"].iloc[0]), float(numpy.float32(want[0]["close"])), "a hyphen for the dot")
    fund = ticker("SPY")
    fund.history(start="2026-01-05", end="2026-01-06")
    same(fund.history_metadata["instrumentType"], "ETF")
    yfinance.config.debug.hide_exceptions = True
    same(len(ticker("GONE").history(period="5d")), 0, "gone")
    same({row["status"] for row in asked("yahoo", "/v8/finance/chart/GONE")}, {404})
    yfinance.config.debug.hide_exceptions = False
    error = raises(YFPricesMissingError, lambda: apple.history(start="2024-01-02", end="2024-01-03", interval="1m"))
    assert "last 8 days" in str(error), error


def facts():
    """Company facts, owners, statements."""
    fresh()
    apple = ticker("AAPL")
    info = apple.info
    same((info["sector"], info["industry"], info["fullTimeEmployees"], info["quoteType"]),
         ("Technology", "Consumer Electronics", 164000, "EQUITY"))
    near(info["currentPrice"], call("GET", "/market/quote", symbol="AAPL")["last"])
    same([officer["name"] for officer in info["companyOfficers"]], ["Ms. Ada Example", "Mr. Ben Example"])
    owners = apple.institutional_holders
    same((len(owners), owners["Holder"][0], sorted(owners.columns)),
         (10, "Institution 1, Inc.", ["Date Reported", "Holder", "Shares", "Value", "pctChange", "pctHeld"]))
    same(len(apple.mutualfund_holders), 10)
    same(float(apple.major_holders.loc["insidersPercentHeld", "Value"]), 0.02)
    same(apple.insider_transactions["Insider"][0], "EXAMPLE ADA")
    same(apple.insider_roster_holders["Name"][0], "EXAMPLE ADA")
    same(int(apple.insider_purchases["Shares"][0]), 20000)
    same(apple.calendar["Earnings Average"], 2.1)

    income = apple.income_stmt
    same([stamp.strftime("%Y-%m-%d") for stamp in income.columns],
         ["2025-09-30", "2024-09-30", "2023-09-30", "2022-09-30"])
    assert 300e9 < income.loc["Total Revenue"].iloc[0] < 500e9
    same(len(apple.quarterly_income_stmt.columns), 5)
    same(len(apple.ttm_income_stmt.columns), 1)
    assert "Total Assets" in apple.balance_sheet.index and "Free Cash Flow" in apple.cashflow.index
    call("PUT", "/market/facts", {"symbol": "MSFT", "name": "annualTotalRevenue", "value": [
        {"asOfDate": "2025-06-30", "periodType": "12M", "currencyCode": "USD", "dataId": 1,
         "reportedValue": {"raw": 281724000000, "fmt": "281.72B"}}]})
    call("PUT", "/market/facts", {"symbol": "MSFT", "name": "assetProfile", "value": {"fullTimeEmployees": 7}})
    microsoft = ticker("MSFT")
    same(float(microsoft.income_stmt.loc["Total Revenue"].dropna().iloc[0]), 281724000000.0, "as a script says")
    same(microsoft.info["fullTimeEmployees"], 7)


def crumbs():
    """The cookie and the crumb: got once, got again when it is invalid, by way of the consent page."""
    fresh()
    apple = ticker("AAPL")
    same(apple.info["quoteType"], "EQUITY")
    same((len(asked("yahoo", "/v1/test/getcrumb")), len([row for row in asked("yahoo") if row["path"] == "/"])), (1, 1))
    summaries = asked("yahoo", "/v10/finance/quoteSummary")
    assert all("crumb=c%2Frumb.1" in row["query"] and "A3=" in row["headers"]["cookie"] for row in summaries)
    call("DELETE", "/requests")
    call("PATCH", "/settings", {"yahoo": {"crumb": "other"}})
    same(ticker("MSFT").info["quoteType"], "EQUITY")
    statuses = [row["status"] for row in asked("yahoo", "/v10")]
    same((statuses[:2], len(asked("yahoo", "/v1/test/getcrumb"))), ([401, 200], 1), "once more, with a new crumb")

    reset()
    fresh()
    call("PATCH", "/settings", {"yahoo": {"consent": True}})
    same(ticker("AAPL").info["quoteType"], "EQUITY", "by way of the consent page")
    paths = [row["path"] for row in asked("yahoo")]
    assert {"/consent", "/v2/collectConsent", "/copyConsent", "/v1/test/getcrumb"} <= set(paths), paths

    reset()
    fresh()
    fault("yahoo", "/v1/test/getcrumb", fault="answer", status=429, times=9, body="Too Many Requests")
    frame = ticker("AAPL").history(start="2026-01-05", end="2026-01-06", interval="1d")
    same(len(frame), 1, "a chart needs no crumb")
    fault("yahoo", "/v8", fault="answer", status=429, times=2, body="Too Many Requests\r\n")
    fresh()
    raises(YFRateLimitError, lambda: ticker("AAPL").history(start="2026-01-05", end="2026-01-06", interval="1d"))


for part in (charts, facts, crumbs):
    reset()
    part()
print("yahoo_client: as served")
