"""The SMA cross of a fixed quantity, as the Python package `backtesting` runs it.

Usage: backtesting_reference.py goog|eurusd|BARS_OF_BAC long|both FAST SLOW QUANTITY COMMISSION CASH CSV

Writes the data set to CSV and prints trades and equity as JSON. Moving averages are compared as exact integer
sums, so that a tie is a tie; what crosses is what the package's own `crossover` says. Of the real hourly bars of BAC
it takes half a year whose averages of 10 and 20 closes are equal now and then. The commission is per side, as the
package has it since 0.4.
"""

import json
import sys
import warnings

warnings.filterwarnings("ignore")

import numpy as np
import pandas as pd
from backtesting import Backtest, Strategy
from backtesting.lib import crossover
from backtesting.test import EURUSD, GOOG


def real(path):
    """The real bars from January to June 2007, which nothing shortens: no early close and no split."""
    data = pd.read_csv(path)
    data.index = pd.to_datetime(data["start_utc"], utc=True).dt.tz_localize(None)
    data = data[["open", "high", "low", "close", "volume"]].rename(columns=str.capitalize)
    return data.loc["2007-01-03":"2007-06-29"]


def main():
    name, sides, fast, slow, quantity, commission, cash, path = sys.argv[1:]
    fast, slow, quantity = int(fast), int(slow), int(quantity)
    if name in ("goog", "eurusd"):
        data = {"goog": GOOG, "eurusd": EURUSD}[name].copy()
    else:
        data, name = real(name), "bac"

    table = data.rename(columns=str.lower)
    if name == "goog":
        table.insert(0, "date", [time.strftime("%Y-%m-%d") for time in data.index])
    else:
        table.insert(0, "start_utc", [time.strftime("%Y-%m-%dT%H:%M:%SZ") for time in data.index])
    table.insert(0, "symbol", name.upper())
    table.to_csv(path, index=False)

    closes = np.array([round(float(close) * 1e9) for close in data.Close], dtype=np.int64)
    sums = np.concatenate([[0], np.cumsum(closes)])
    relation = np.zeros(len(closes), dtype=np.int64)
    for row in range(slow - 1, len(closes)):
        fast_sum = int(sums[row + 1] - sums[row + 1 - fast])
        slow_sum = int(sums[row + 1] - sums[row + 1 - slow])
        difference = fast_sum * slow - slow_sum * fast
        relation[row] = (difference > 0) - (difference < 0)

    class Cross(Strategy):
        def init(self):
            pass

        def next(self):
            row = len(self.data) - 1
            if row < slow:
                return
            up, down = crossover(relation[: row + 1], 0), crossover(0, relation[: row + 1])
            if up and not self.position.is_long:
                self.position.close()
                self.buy(size=quantity)
            elif down and not self.position.is_short:
                self.position.close()
                if sides == "both":
                    self.sell(size=quantity)

    run = Backtest(data, Cross, cash=float(cash), commission=float(commission), finalize_trades=False)
    stats = run.run()
    trades = stats["_trades"]
    equity = stats["_equity_curve"]["Equity"]
    print(
        json.dumps(
            {
                "rows": len(data),
                "times_ns": [pd.Timestamp(time).as_unit("ns").value for time in data.index],
                "equity": [float(value) for value in equity],
                "trades": [
                    {
                        "size": int(trade.Size),
                        "entry_bar": int(trade.EntryBar),
                        "exit_bar": int(trade.ExitBar),
                        "entry_price": float(trade.EntryPrice),
                        "exit_price": float(trade.ExitPrice),
                        "pnl": float(trade.PnL),
                        "commission": float(trade.Commission),
                    }
                    for trade in trades.itertuples()
                ],
            }
        )
    )


main()
