"""alpaca-py's TradingClient: every operation of the stand-in that it has, and those that it lacks through its own
requests."""

import datetime
import json

import requests
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import (
    AccountStatus,
    AssetExchange,
    AssetStatus,
    OrderClass,
    OrderSide,
    OrderStatus,
    OrderType,
    PositionSide,
    QueryOrderStatus,
    TimeInForce,
)
from alpaca.trading.models import NonTradeActivity, TradeActivity
from alpaca.trading.requests import (
    ClosePositionRequest,
    GetAssetsRequest,
    GetCalendarRequest,
    GetOrderByIdRequest,
    GetOrdersRequest,
    GetPortfolioHistoryRequest,
    LimitOrderRequest,
    MarketOrderRequest,
    ReplaceOrderRequest,
    StopLimitOrderRequest,
    StopLossRequest,
    StopOrderRequest,
    TakeProfitRequest,
    TrailingStopOrderRequest,
)

from stand import ADDRESSES, KEY, SECRET, asked, call, fault, near, raises, reset, same

TRADING = ADDRESSES["alpaca_trading"]
BUY, SELL, DAY, GTC = OrderSide.BUY, OrderSide.SELL, TimeInForce.DAY, TimeInForce.GTC


def client(key=KEY, secret=SECRET):
    return TradingClient(key, secret, paper=True, url_override=TRADING)


def code(error):
    return error.status_code, error.code


def hold(symbol, price):
    call("PUT", "/market/price", {"symbol": symbol, "price": price})


def act(order, **what):
    call("POST", f"/orders/{order.id}", what)


def plan(**what):
    call("POST", "/orders/plan", what)


def market(symbol="AAPL", side=BUY, qty=10, tif=DAY, **more):
    return MarketOrderRequest(symbol=symbol, side=side, qty=qty, time_in_force=tif, **more)


def limit(price, symbol="AAPL", side=BUY, qty=10, tif=DAY, **more):
    return LimitOrderRequest(symbol=symbol, side=side, qty=qty, time_in_force=tif, limit_price=price, **more)


def reference(trading):
    """Account, assets, clock, calendar, configuration, history."""
    account = trading.get_account()
    same(account.status, AccountStatus.ACTIVE)
    same((account.cash, account.equity, account.buying_power, account.multiplier), ("100000", "100000", "200000", "2"))
    same((account.pattern_day_trader, account.daytrade_count), (None, None), "fields that were removed in July 2026")
    same((account.trading_blocked, account.shorting_enabled, account.currency), (False, True, "USD"))

    assets = {asset.symbol: asset for asset in trading.get_all_assets()}
    listed = call("GET", "/market/listings")
    same(sorted(assets), sorted(listing["symbol"] for listing in listed))
    same(assets["AAPL"].exchange, AssetExchange.NASDAQ)
    same((assets["AAPL"].fractionable, assets["AAPL"].attributes), (True, ["fractional_eh_enabled"]))
    same((assets["GONE"].status, assets["GONE"].tradable), (AssetStatus.INACTIVE, False))
    active = trading.get_all_assets(GetAssetsRequest(status=AssetStatus.ACTIVE, exchange=AssetExchange.NYSE))
    same([asset.symbol for asset in active], ["BRK.B"])
    same(trading.get_asset("AAPL"), trading.get_asset(assets["AAPL"].id))
    same(code(raises(APIError, lambda: trading.get_asset("NOPE"))), (404, 40410000))

    clock = trading.get_clock()
    eastern = datetime.timezone(datetime.timedelta(hours=-5))
    same(clock.timestamp, datetime.datetime(2026, 1, 6, 10, 0, tzinfo=eastern))
    same((clock.is_open, clock.next_open.day, clock.next_open.hour, clock.next_close.hour), (True, 7, 9, 16))
    days = trading.get_calendar(GetCalendarRequest(start=datetime.date(2026, 11, 25), end=datetime.date(2026, 11, 30)))
    closes = [(day.date.day, day.open.strftime("%H:%M"), day.close.strftime("%H:%M")) for day in days]
    same(closes, [(25, "09:30", "16:00"), (27, "09:30", "13:00"), (30, "09:30", "16:00")])

    configuration = trading.get_account_configurations()
    same((configuration.no_shorting, configuration.dtbp_check, configuration.pdt_check), (False, None, None))
    configuration.no_shorting = True
    same(trading.set_account_configurations(configuration).no_shorting, True)
    error = raises(APIError, lambda: trading.submit_order(market(side=SELL)))
    same(code(error), (422, 42210000), "long-only")
    configuration.no_shorting = False
    trading.set_account_configurations(configuration)

    history = trading.get_portfolio_history(GetPortfolioHistoryRequest(period="1W", timeframe="1D"))
    same((history.timeframe, history.base_value, history.equity[-1]), ("1D", 100000.0, 100000.0))
    same(len(history.timestamp), len(history.profit_loss_pct))
    same(trading.get("/clock", api_version="v3")["clocks"][0]["phase"], "core")
    same(trading.get("/calendar/NYSE", {"start": "2026-01-05", "end": "2026-01-05"}, api_version="v3")["calendar"][0]["date"],
         "2026-01-05")


def orders(trading):
    """Simple orders of every type and time in force, and what lists show of them."""
    quote = call("GET", "/market/quote", symbol="AAPL")
    order = trading.submit_order(market(client_order_id="first"))
    same((order.status, order.filled_qty, order.order_class), (OrderStatus.PENDING_NEW, "0", OrderClass.SIMPLE))
    order = trading.get_order_by_id(order.id)
    same((order.status, order.filled_qty, order.type), (OrderStatus.FILLED, "10", OrderType.MARKET))
    near(order.filled_avg_price, quote["ask"])
    same(trading.get_order_by_client_id("first").id, order.id)
    error = raises(APIError, lambda: trading.submit_order(market(client_order_id="first")))
    same((*code(error), error.message), (422, 40010001, "client_order_id must be unique"), "a filled order's id is taken")

    resting = trading.submit_order(limit(100.25, tif=GTC, client_order_id="resting"))
    resting = trading.get_order_by_id(resting.id)
    same((resting.status, resting.limit_price, resting.time_in_force), (OrderStatus.NEW, "100.25", GTC))
    same((resting.expires_at.month, resting.expires_at.day), (4, 6), "90 days later")
    stop = trading.submit_order(
        StopOrderRequest(symbol="MSFT", side=BUY, qty=1, time_in_force=DAY, stop_price=900.5))
    stop_limit = trading.submit_order(StopLimitOrderRequest(
        symbol="MSFT", side=BUY, qty=1, time_in_force=DAY, stop_price=900.5, limit_price=901))
    trail = trading.submit_order(TrailingStopOrderRequest(
        symbol="MSFT", side=BUY, qty=1, time_in_force=DAY, trail_percent=5))
    trail = trading.get_order_by_id(trail.id)
    same((trail.type, trail.trail_percent, trail.status), (OrderType.TRAILING_STOP, "5", OrderStatus.NEW))
    near(trail.stop_price, float(trail.hwm) * 1.05, within=1e-4)

    ids = [order.id for order in (resting, stop, stop_limit, trail)]
    listed = trading.get_orders(GetOrdersRequest(status=QueryOrderStatus.OPEN, direction="asc"))
    same([order.id for order in listed], ids)
    same([order.id for order in trading.get_orders(GetOrdersRequest(limit=2))], ids[:1:-1], "newest first")
    same(len(trading.get_orders(GetOrdersRequest(status=QueryOrderStatus.CLOSED))), 1)
    same(len(trading.get_orders(GetOrdersRequest(status=QueryOrderStatus.ALL, symbols=["AAPL"]))), 2)
    same(len(trading.get_orders(GetOrdersRequest(side=SELL))), 0)
    later = resting.submitted_at + datetime.timedelta(seconds=1)
    same(len(trading.get_orders(GetOrdersRequest(after=later))), 0)

    hold("MSFT", 950.0)
    call("POST", "/clock", {"advance_ms": 1000})
    same(trading.get_order_by_id(stop.id).status, OrderStatus.FILLED, "its stop was reached")
    same(trading.get_order_by_id(stop_limit.id).status, OrderStatus.NEW, "beyond its limit")
    same(trading.get_order_by_id(trail.id).status, OrderStatus.FILLED)

    trading.cancel_order_by_id(resting.id)
    cancelled = trading.get_order_by_id(resting.id)
    same((cancelled.status, cancelled.canceled_at is not None), (OrderStatus.CANCELED, True))
    error = raises(APIError, lambda: trading.cancel_order_by_id(resting.id))
    same((*code(error), error.message), (422, 42210000, 'order is already in "canceled" state'))
    unknown = "00000000-0000-4000-8000-000000000000"
    same(code(raises(APIError, lambda: trading.cancel_order_by_id(unknown))), (404, 40410000))
    same(code(raises(APIError, lambda: trading.get_order_by_client_id("nobody"))), (404, 40410000))
    one = trading.submit_order(limit(100))
    responses = trading.cancel_orders()
    same([(str(response.id), response.status) for response in responses],
         [(str(stop_limit.id), 200), (str(one.id), 200)])
    hold("MSFT", None)

    for tif, status in ((TimeInForce.IOC, OrderStatus.CANCELED), (TimeInForce.FOK, OrderStatus.CANCELED)):
        order = trading.submit_order(limit(100, tif=tif))
        same(trading.get_order_by_id(order.id).status, status, tif)
    expiring = trading.submit_order(limit(100))
    closing = trading.submit_order(market(qty=1, tif=TimeInForce.CLS))
    call("POST", "/clock", {"now": "2026-01-06T20:55:00Z"})
    error = raises(APIError, lambda: trading.submit_order(market(tif=TimeInForce.CLS)))
    same(code(error), (422, 42210000), "too late for the closing auction")
    call("POST", "/clock", {"now": "2026-01-06T21:01:00Z"})
    expired = trading.get_order_by_id(expiring.id)
    same((expired.status, expired.expired_at is not None), (OrderStatus.EXPIRED, True))
    same(trading.get_order_by_id(closing.id).status, OrderStatus.FILLED, "filled in the auction")
    night = trading.submit_order(market(qty=1))
    same((night.status, trading.get_order_by_id(night.id).status), (OrderStatus.ACCEPTED, OrderStatus.ACCEPTED))
    extended = trading.submit_order(limit(10_000, symbol="NVDA", qty=1, extended_hours=True))
    same(trading.get_order_by_id(extended.id).status, OrderStatus.FILLED, "after the close, for it may")
    call("POST", "/clock", {"now": "2026-01-07T14:31:10Z"})
    same(trading.get_order_by_id(night.id).status, OrderStatus.FILLED, "at the next open")


def fractions(trading):
    """Parts of shares and sums."""
    part = trading.submit_order(market(qty=0.123456789))
    same(trading.get_order_by_id(part.id).filled_qty, "0.123456789")
    total = trading.submit_order(MarketOrderRequest(symbol="AAPL", side=BUY, notional=500.5, time_in_force=DAY))
    total = trading.get_order_by_id(total.id)
    same((total.notional, total.qty, total.status), ("500.5", None, OrderStatus.FILLED))
    near(float(total.filled_qty) * float(total.filled_avg_price), 500.5)
    for request, message in (
        (MarketOrderRequest(symbol="AAPL", side=BUY, notional=0.5, time_in_force=DAY), "minimal amount"),
        (market(qty=0.5, tif=GTC), "DAY"),
        (market(symbol="MSFT", side=SELL, qty=0.5), "short"),
    ):
        error = raises(APIError, lambda: trading.submit_order(request))
        same(code(error), (422, 42210000))
        assert message in error.message, error.message
    error = raises(APIError, lambda: trading.submit_order(market(symbol="THIN", qty=0.5)))
    same((*code(error), error.message), (403, 40310000, 'asset "THIN" is not fractionable'))


def refusals(trading):
    """What is refused, with its code."""
    error = raises(APIError, lambda: trading.submit_order(market(qty=100_000)))
    body = json.loads(str(error))
    same((*code(error), body["message"]), (403, 40310000, "insufficient buying power"))
    assert float(body["cost_basis"]) > float(body["buying_power"]), body
    bought = trading.submit_order(market(qty=5))
    sell = trading.submit_order(limit(400, side=SELL, qty=4))
    error = raises(APIError, lambda: trading.submit_order(limit(400, side=SELL, qty=2)))
    body = json.loads(str(error))
    same((*code(error), body["available"], body["existing_qty"], body["held_for_orders"], body["symbol"]),
         (403, 40310000, "1", "5", "4", "AAPL"))
    error = raises(APIError, lambda: trading.submit_order(market()))
    body = json.loads(str(error))
    same((code(error), body["existing_order_id"]), ((403, 40310000), str(sell.id)), "a wash trade")
    trading.cancel_orders()
    same(trading.get_order_by_id(bought.id).status, OrderStatus.FILLED)
    for request, wanted in (
        (limit(100.001), (422, 42210000)),
        (limit(0.42001, symbol="PENY"), (422, 42210000)),
        (market(symbol="NOPE"), (422, 42210000)),
        (market(symbol="GONE"), (422, 42210000)),
        (market(symbol="THIN", side=SELL), (422, 42210000)),
        (market(extended_hours=True), (422, 42210000)),
        (market(tif=TimeInForce.OPG), (422, 42210000)),
        (market(client_order_id="x" * 129), (422, 40010001)),
    ):
        same(code(raises(APIError, lambda: trading.submit_order(request))), wanted, request)
    same(code(raises(APIError, lambda: trading.get("/orders/7"))), (422, 40010001), "no id of an order")
    plan(on_submit={"refuse": {"status": 403, "code": 40310000, "message": "account is not allowed to short",
                               "extras": {"symbol": "AAPL"}}})
    error = raises(APIError, lambda: trading.submit_order(market()))
    same((*code(error), error.message), (403, 40310000, "account is not allowed to short"), "as a script wants")
    plan(on_submit="reject")
    taken = trading.submit_order(market())
    rejected = trading.get_order_by_id(taken.id)
    same((taken.status, rejected.status, rejected.failed_at is not None),
         (OrderStatus.PENDING_NEW, OrderStatus.REJECTED, True), "taken and rejected afterwards")
    error = raises(APIError, lambda: client(secret="wrong").get_account())
    same((error.status_code, json.loads(str(error))), (401, {"message": "unauthorized."}))


def replacements(trading):
    """Chains of replacements, and what cannot be replaced."""
    first = trading.submit_order(limit(100, client_order_id="chain-1"))
    second = trading.replace_order_by_id(
        first.id, ReplaceOrderRequest(limit_price=101, client_order_id="chain-2"))
    assert second.id != first.id
    same((second.replaces, second.limit_price, second.qty), (first.id, "101", "10"))
    third = trading.replace_order_by_id(second.id, ReplaceOrderRequest(qty=7, time_in_force=GTC))
    old, new = trading.get_order_by_id(second.id), trading.get_order_by_id(third.id)
    same((old.status, old.replaced_by, old.replaced_at is not None), (OrderStatus.REPLACED, third.id, True))
    same((new.status, new.qty, new.limit_price, new.time_in_force), (OrderStatus.NEW, "7", "101", GTC))
    error = raises(APIError, lambda: trading.replace_order_by_id(third.id, ReplaceOrderRequest(qty=7)))
    same((*code(error), error.message), (422, 42210000, "order parameters are not changed"))
    error = raises(APIError, lambda: trading.replace_order_by_id(first.id, ReplaceOrderRequest(qty=3)))
    same(code(error), (422, 42210000), "it was replaced already")
    act(new, do="fill", qty="3", price="101")
    error = raises(APIError, lambda: trading.replace_order_by_id(third.id, ReplaceOrderRequest(qty=3)))
    same(code(error), (422, 42210000), "not more than what is filled")
    fourth = trading.replace_order_by_id(third.id, ReplaceOrderRequest(qty=5))
    fourth = trading.get_order_by_id(fourth.id)
    same((fourth.filled_qty, fourth.status), ("3", OrderStatus.NEW))
    trading.cancel_orders()

    plan(on_submit="hold")
    held = trading.submit_order(limit(100))
    error = raises(APIError, lambda: trading.replace_order_by_id(held.id, ReplaceOrderRequest(qty=3)))
    same(code(error), (422, 42210000), "not while it is pending")
    act(held, do="accept")
    trading.cancel_orders()

    plan(on_replace="hold")
    late = trading.submit_order(limit(100))
    next_one = trading.replace_order_by_id(late.id, ReplaceOrderRequest(limit_price=99))
    same((trading.get_order_by_id(late.id).status, trading.get_order_by_id(next_one.id).status),
         (OrderStatus.PENDING_REPLACE, OrderStatus.ACCEPTED))
    act(late, do="replace")
    same((trading.get_order_by_id(late.id).status, trading.get_order_by_id(next_one.id).status),
         (OrderStatus.REPLACED, OrderStatus.NEW))
    plan(on_replace="rejected")
    kept = trading.submit_order(limit(98))
    refused = trading.replace_order_by_id(kept.id, ReplaceOrderRequest(limit_price=97))
    same((trading.get_order_by_id(kept.id).status, trading.get_order_by_id(refused.id).status),
         (OrderStatus.NEW, OrderStatus.REJECTED))
    trading.cancel_orders()


def groups(trading):
    """Brackets, pairs of exits, entries with one exit."""
    price = 187.0
    hold("AAPL", price)
    bracket = trading.submit_order(limit(
        180, order_class=OrderClass.BRACKET, take_profit=TakeProfitRequest(limit_price=200),
        stop_loss=StopLossRequest(stop_price=170, limit_price=169)))
    same((bracket.order_class, [leg.status for leg in bracket.legs]), (OrderClass.BRACKET, [OrderStatus.HELD] * 2))
    same([(leg.type, leg.side, leg.limit_price, leg.stop_price) for leg in bracket.legs],
         [(OrderType.LIMIT, SELL, "200", None), (OrderType.STOP_LIMIT, SELL, "169", "170")])
    nested = trading.get_orders(GetOrdersRequest(nested=True))
    same([(order.id, len(order.legs)) for order in nested], [(bracket.id, 2)])
    same(len(trading.get_orders()), 3, "flat, each leg is an order")
    hold("AAPL", 180.0)
    call("POST", "/clock", {"advance_ms": 1000})
    hold("AAPL", 179.0)
    call("POST", "/clock", {"advance_ms": 1000})
    bracket = trading.get_order_by_id(bracket.id, GetOrderByIdRequest(nested=True))
    same((bracket.status, [leg.status for leg in bracket.legs]),
         (OrderStatus.FILLED, [OrderStatus.NEW, OrderStatus.HELD]))
    hold("AAPL", 201.0)
    call("POST", "/clock", {"advance_ms": 1000})
    bracket = trading.get_order_by_id(bracket.id)
    same([leg.status for leg in bracket.legs], [OrderStatus.FILLED, OrderStatus.CANCELED])
    same(trading.get_all_positions(), [])

    trading.submit_order(market(qty=10))
    oco = trading.submit_order(limit(
        220, side=SELL, order_class=OrderClass.OCO, take_profit=TakeProfitRequest(limit_price=220),
        stop_loss=StopLossRequest(stop_price=190)))
    same((oco.order_class, oco.limit_price, [leg.status for leg in oco.legs]),
         (OrderClass.OCO, "220", [OrderStatus.HELD]))
    act(oco, do="fill", qty="4", price="220")
    same(trading.get_order_by_id(oco.id).legs[0].qty, "6", "the stop covers what is left")
    hold("AAPL", 189.0)
    call("POST", "/clock", {"advance_ms": 1000})
    oco = trading.get_order_by_id(oco.id)
    same((oco.status, oco.legs[0].status, oco.legs[0].filled_qty), (OrderStatus.CANCELED, OrderStatus.FILLED, "6"))
    same(trading.get_all_positions(), [])

    oto = trading.submit_order(market(qty=2, order_class=OrderClass.OTO, stop_loss=StopLossRequest(stop_price=150)))
    oto = trading.get_order_by_id(oto.id)
    same((oto.status, [leg.status for leg in oto.legs]), (OrderStatus.FILLED, [OrderStatus.NEW]))
    trading.cancel_orders()
    entry = trading.submit_order(limit(
        100, order_class=OrderClass.BRACKET, take_profit=TakeProfitRequest(limit_price=120),
        stop_loss=StopLossRequest(stop_price=90)))
    trading.cancel_order_by_id(entry.id)
    entry = trading.get_order_by_id(entry.id)
    same([entry.status] + [leg.status for leg in entry.legs], [OrderStatus.CANCELED] * 3)
    entry = trading.submit_order(limit(
        100, qty=5, tif=GTC, order_class=OrderClass.BRACKET,
        client_order_id="td-bracket", take_profit=TakeProfitRequest(limit_price=120),
        stop_loss=StopLossRequest(stop_price=90)))
    same([leg.time_in_force for leg in entry.legs], [GTC] * 2)
    act(entry, do="fill", qty="2", price="100")
    entry = trading.get_order_by_client_id("td-bracket")
    same((entry.status, [leg.status for leg in entry.legs]),
         (OrderStatus.PARTIALLY_FILLED, [OrderStatus.HELD] * 2), "not before the entry is filled whole")
    same(code(raises(APIError, lambda: trading.replace_order_by_id(entry.id, ReplaceOrderRequest(qty=9)))),
         (422, 42210000))
    trading.cancel_order_by_id(entry.legs[1].id)
    entry = trading.get_order_by_id(entry.id)
    same([entry.status] + [leg.status for leg in entry.legs], [OrderStatus.CANCELED] * 3, "one ends the group")
    same((entry.filled_qty, trading.get_open_position("AAPL").qty), ("2", "4"), "beside the two of before")
    error = raises(APIError, lambda: trading.submit_order(limit(
        100, order_class=OrderClass.BRACKET, take_profit=TakeProfitRequest(limit_price=120),
        stop_loss=StopLossRequest(stop_price=100))))
    same(code(error), (422, 42210000))
    body = {"symbol": "AAPL", "side": "sell", "qty": "2", "time_in_force": "day", "order_class": "oco",
            "take_profit": {"limit_price": "220"}, "stop_loss": {"stop_price": "150"}}
    same(code(raises(APIError, lambda: trading.post("/orders", body))), (422, 40010001), "a pair must say limit")
    hold("AAPL", None)


def positions(trading):
    """Positions, and how they are closed."""
    call("PUT", "/account", {"cash": "50000", "positions": {
        "AAPL": {"qty": "10", "price": "150"}, "MSFT": {"qty": "-5", "price": "450"}}})
    held = {position.symbol: position for position in trading.get_all_positions()}
    apple, microsoft = held["AAPL"], held["MSFT"]
    same((apple.qty, apple.qty_available, apple.side, apple.avg_entry_price, apple.cost_basis),
         ("10", "10", PositionSide.LONG, "150", "1500"))
    same((microsoft.qty, microsoft.side, microsoft.cost_basis), ("-5", PositionSide.SHORT, "-2250"))
    quote = call("GET", "/market/quote", symbol="AAPL")
    near(apple.current_price, quote["last"])
    near(apple.market_value, quote["last"] * 10)
    near(apple.unrealized_pl, quote["last"] * 10 - 1500)
    near(trading.get_account().equity, 50_000 + float(apple.market_value) + float(microsoft.market_value), within=1e-4)
    same(trading.get_open_position("AAPL").asset_id, apple.asset_id)
    error = raises(APIError, lambda: trading.get_open_position("NVDA"))
    same((*code(error), error.message), (404, 40410000, "position does not exist"))

    half = trading.close_position("AAPL", ClosePositionRequest(percentage="50"))
    same((half.side, half.qty), (SELL, "5"))
    same(trading.get_open_position("AAPL").qty, "5")
    resting = trading.submit_order(limit(400, side=SELL, qty=5))
    responses = {response.symbol: response for response in trading.close_all_positions()}
    same((responses["AAPL"].status, responses["AAPL"].body.code, responses["MSFT"].status), (403, 40310000, 200))
    responses = trading.close_all_positions(cancel_orders=True)
    same([(response.symbol, response.status) for response in responses], [("AAPL", 200)])
    same((trading.get_order_by_id(resting.id).status, trading.get_all_positions()), (OrderStatus.CANCELED, []))


def activities(trading):
    """Fills and other activities, in pages. The client has no call of its own for them."""
    order = trading.submit_order(limit(100, qty=9, client_order_id="in-parts"))
    act(order, do="fill", qty="4", price="99.5")
    act(order, do="fill", price="99.75")
    call("POST", "/activities", {"activity_type": "DIV", "symbol": "AAPL", "net_amount": "2.34", "qty": "9",
                                 "per_share_amount": "0.26"})
    rows = trading.get("/account/activities/FILL", {"direction": "asc"})
    found = [TradeActivity(account_id="00000000-0000-4000-8000-000000000000", **row) for row in rows]
    same([(row.type.value, row.qty, row.price, row.cum_qty, row.leaves_qty, row.order_id) for row in found],
         [("partial_fill", 4.0, 99.5, 4.0, 5.0, order.id), ("fill", 5.0, 99.75, 9.0, 0.0, order.id)])
    assert rows[0]["id"].startswith("20260106100000000::"), rows[0]["id"]
    dividend = trading.get("/account/activities", {"activity_types": "DIV"})
    row = NonTradeActivity(account_id="00000000-0000-4000-8000-000000000000", **dividend[0])
    same((row.net_amount, row.per_share_amount, row.symbol), (2.34, 0.26, "AAPL"))
    page = trading.get("/account/activities", {"page_size": 2})
    rest = trading.get("/account/activities", {"page_size": 2, "page_token": page[-1]["id"]})
    same([row["activity_type"] for row in page + rest], ["DIV", "FILL", "FILL"])
    act(order, do="correct", price="99.25")
    same(trading.get_order_by_id(order.id).filled_avg_price, "99.361111111")
    act(order, do="bust")
    same((trading.get_order_by_id(order.id).filled_qty, trading.get_open_position("AAPL").qty), ("4", "4"))


def late_cancels(trading):
    """Cancels that come too late, or are not done."""
    plan(on_cancel="hold")
    order = trading.submit_order(limit(100))
    trading.cancel_order_by_id(order.id)
    same(trading.get_order_by_id(order.id).status, OrderStatus.PENDING_CANCEL)
    act(order, do="fill", qty="6", price="100")
    act(order, do="cancel")
    order = trading.get_order_by_id(order.id)
    same((order.status, order.filled_qty), (OrderStatus.CANCELED, "6"), "filled in part before it was cancelled")
    plan(on_cancel="filled")
    order = trading.submit_order(limit(100))
    trading.cancel_order_by_id(order.id)
    same(trading.get_order_by_id(order.id).status, OrderStatus.FILLED)
    plan(on_cancel="rejected")
    order = trading.submit_order(limit(100))
    trading.cancel_order_by_id(order.id)
    same(trading.get_order_by_id(order.id).status, OrderStatus.NEW)
    trading.cancel_orders()


def retries():
    """The client repeats on 429 and 504 alone, orders too: the client order id keeps them one."""
    quick = client()
    same((quick._retry, quick._retry_wait, quick._retry_codes), (3, 3, [429, 504]), "what it does by itself")
    quick._retry, quick._retry_wait = 2, 0.1
    fault("alpaca_trading", "/v2/account", fault="answer", status=429, times=2, body={"message": "too many requests."})
    same(quick.get_account().status, AccountStatus.ACTIVE)
    same([row["status"] for row in asked("alpaca_trading", "/v2/account")], [429, 429, 200])
    call("DELETE", "/requests")
    fault("alpaca_trading", "/v2/orders", fault="answer", status=504, when="after", body="<html>504</html>")
    error = raises(APIError, lambda: quick.submit_order(market(client_order_id="landed")))
    same(code(error), (422, 40010001), "the first attempt had landed")
    tried = asked("alpaca_trading", "/v2/orders")
    same([row["status"] for row in tried], [504, 422])
    same({row["body"]["client_order_id"] for row in tried}, {"landed"})
    same(quick.get_order_by_client_id("landed").status, OrderStatus.FILLED)
    fault("alpaca_trading", "/v2/account", fault="answer", status=500, body={"message": "internal"})
    same(raises(APIError, quick.get_account).status_code, 500, "not repeated")
    fault("alpaca_trading", "/v2/orders", fault="cut", when="after")
    raises(requests.exceptions.ConnectionError, lambda: quick.submit_order(market(client_order_id="cut")))
    same(quick.get_order_by_client_id("cut").status, OrderStatus.FILLED, "there, though nothing was answered")
    fault("alpaca_trading", "/v2/account", fault="truncate", bytes=40)
    raises(requests.exceptions.ChunkedEncodingError, quick.get_account)
    call("PATCH", "/settings", {"requests_per_minute": {"alpaca_trading": 3}})
    answers = [requests.get(ADDRESSES["alpaca_trading"] + "/v2/clock", headers={
        "APCA-API-KEY-ID": KEY, "APCA-API-SECRET-KEY": SECRET}) for _ in range(4)]
    same([answer.status_code for answer in answers], [200, 200, 200, 429])
    same([answer.headers["X-RateLimit-Remaining"] for answer in answers], ["2", "1", "0", "0"])
    same(answers[3].json()["code"], 42910000)
    bare = requests.get(ADDRESSES["alpaca_data"] + "/v2/stocks/bars")
    same((bare.status_code, bare.headers["content-type"].split(";")[0]), (401, "text/html"), "no key at all")


for part in (reference, orders, fractions, refusals, replacements, groups, positions, activities, late_cancels):
    reset()
    part(client())
reset()
retries()
print("alpaca_trading: as served")
