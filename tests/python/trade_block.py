"""Measures closed trades with `backtesting`.

`trade_block.py run NAME long|both`: runs a crossing of two averages with a fixed quantity and 0.2 % commission on a
series that comes with the package, and prints a line `rows` with the times of all bars, one line `trade` per closed
trade and a line `stats`. Times are nanoseconds.

`trade_block.py measure ROWS`: reads trades from standard input (entry bar, exit bar, signed quantity, entry price,
exit price, commission; hourly bars) and prints the line `stats`.
"""

import sys
import warnings

import numpy as np
import pandas as pd

warnings.simplefilter("ignore")
from backtesting import Backtest, Strategy  # noqa: E402
from backtesting import _stats  # noqa: E402

NAMES = {
    "# Trades": "count",
    "Win Rate [%]": "win_rate",
    "Best Trade [%]": "best_pct",
    "Worst Trade [%]": "worst_pct",
    "Avg. Trade [%]": "average_pct",
    "Profit Factor": "profit_factor_pct",
    "Expectancy [%]": "expectancy_pct",
    "SQN": "sqn",
    "Kelly Criterion": "kelly",
    "Exposure Time [%]": "exposure_time",
    "CAGR [%]": "cagr_calendar",
}


def report(stats, trades) -> None:
    found = {}
    for name, ours in NAMES.items():
        value = float(stats[name])
        found[ours] = value / 100 if name.endswith("[%]") else value
    pnl = trades["PnL"]
    found["best"], found["worst"], found["average"] = pnl.max(), pnl.min(), pnl.mean()
    found["expectancy"] = pnl.mean()
    found["average_win"], found["average_loss"] = pnl[pnl > 0].mean(), pnl[pnl < 0].mean()
    lost = abs(pnl[pnl < 0].sum())
    found["profit_factor"] = pnl[pnl > 0].sum() / lost if lost else np.nan
    # Before the package rounds them up to whole periods.
    seconds = trades["Duration"].dt.total_seconds()
    found["longest"], found["average_length"] = seconds.max(), seconds.mean()
    print("stats", *(f"{name}={value!r}" if np.isfinite(value) else f"{name}=none"
                     for name, value in ((name, float(value)) for name, value in found.items())))


class Cross(Strategy):
    both = False
    size = 10

    def init(self):
        # Whole units of 1e-5, so that a tie of averages is a tie.
        def average(close, length):
            whole = pd.Series(np.round(np.asarray(close) * 100_000))
            return whole.rolling(length).sum() / length

        self.fast = self.I(average, self.data.Close, 10)
        self.slow = self.I(average, self.data.Close, 20)

    def next(self):
        if not self.fast[-2] >= 0 or not self.slow[-2] >= 0:
            return
        up = self.fast[-2] < self.slow[-2] and self.fast[-1] > self.slow[-1]
        down = self.fast[-2] > self.slow[-2] and self.fast[-1] < self.slow[-1]
        if up:
            self.position.close()
            self.buy(size=self.size)
        elif down:
            self.position.close()
            if self.both:
                self.sell(size=self.size)


def run(name: str, kind: str) -> None:
    import backtesting.test

    data = getattr(backtesting.test, name)
    test = Backtest(data, Cross, cash=1_000_000, commission=0.002)
    stats = test.run(both=kind == "both", size=10 if name == "GOOG" else 10_000)
    trades = stats._trades
    nanoseconds = data.index.as_unit("ns").asi8
    print("rows", *nanoseconds)
    print("equity", *(repr(float(value)) for value in stats._equity_curve.Equity))
    for trade in trades.itertuples():
        print("trade", nanoseconds[trade.EntryBar], nanoseconds[trade.ExitBar], trade.Size,
              repr(float(trade.EntryPrice)), repr(float(trade.ExitPrice)), repr(float(trade.Commission)),
              repr(float(trade.PnL)))
    report(stats, trades)


def measure(rows: int) -> None:
    index = pd.date_range("2024-01-01", periods=rows, freq="h")
    lines = [[float(field) for field in line.split()] for line in sys.stdin if line.strip()]
    trades = pd.DataFrame(lines, columns=["EntryBar", "ExitBar", "Size", "EntryPrice", "ExitPrice", "Commission"])
    trades[["EntryBar", "ExitBar"]] = trades[["EntryBar", "ExitBar"]].astype(int)
    trades["PnL"] = trades.Size * (trades.ExitPrice - trades.EntryPrice) - trades.Commission
    trades["ReturnPct"] = (np.sign(trades.Size) * (trades.ExitPrice / trades.EntryPrice - 1)
                           - trades.Commission / (trades.Size.abs() * trades.EntryPrice))
    trades["EntryTime"], trades["ExitTime"] = index[trades.EntryBar], index[trades.ExitBar]
    trades["Duration"] = trades.ExitTime - trades.EntryTime
    flat = pd.DataFrame({"Close": np.ones(rows)}, index=index)
    with np.errstate(all="ignore"):
        stats = _stats.compute_stats(trades, np.linspace(1000.0, 1100.0, rows), flat, None, 0)
    report(stats, trades)


if __name__ == "__main__":
    if sys.argv[1] == "run":
        run(sys.argv[2], sys.argv[3])
    else:
        measure(int(sys.argv[2]))
