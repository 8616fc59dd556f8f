"""Computes indicators with TA-Lib and, where it has none, with numpy and pandas.

usage: indicators.py OUTPUT goog|BARS.csv.gz [AGAINST.csv.gz]

`goog` is the daily series of the package backtesting, against itself two bars later. Writes columns of
64-bit floats to OUTPUT: open, high, low, close, volume, the second series' close, then one column per line
of standard output, which reads `request<TAB>figure`. A figure is NaN where the reference has none. Nothing of
the project is imported.
"""

import sys
import warnings

import numpy as np
import pandas as pd
import talib

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from backtesting.test import GOOG

# Sums that TA-Lib slides along lose digits with every bar. Restarting them this often keeps the reference good.
PART = 500


def bars(source: str) -> pd.DataFrame:
    if source == "goog":
        frame = GOOG.rename(columns=str.lower)
        frame.index = frame.index.tz_localize("America/New_York")
        return frame
    frame = pd.read_csv(source)
    frame.index = pd.to_datetime(frame["timestamp" if "timestamp" in frame else frame.columns[2]], utc=True)
    return frame.set_index(frame.index.tz_convert("America/New_York"))


def windows(values: np.ndarray, length: int) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(values, length)


def late(values: np.ndarray, count: int) -> np.ndarray:
    return np.concatenate([np.full(count - len(values), np.nan), values])


def in_parts(function, lookback: int, *columns: np.ndarray) -> np.ndarray:
    """A function of a window of `lookback` + 1 bars, restarted every PART bars."""
    count = len(columns[0])
    out = np.full(count, np.nan)
    for start in range(lookback, count, PART):
        stop = min(start + PART, count)
        out[start:stop] = function(*(column[start - lookback : stop] for column in columns))[lookback:]
    return out


def z_score(close: np.ndarray, length: int, ddof: int) -> np.ndarray:
    part = windows(close, length)
    return late((part[:, -1] - part.mean(axis=1)) / part.std(axis=1, ddof=ddof), len(close))


def figures(frame: pd.DataFrame, against: np.ndarray):
    o, h, l, c, v = (frame[name].to_numpy(float) for name in ("open", "high", "low", "close", "volume"))
    count = len(c)
    yield "sma:length=1", {"value": c}
    for n in (2, 10, 200):
        yield f"sma:length={n}", {"value": in_parts(lambda x: talib.SMA(x, n), n - 1, c)}
        yield f"wma:length={n}", {"value": in_parts(lambda x: talib.WMA(x, n), n - 1, c)}
        yield f"ema:length={n}", {"value": talib.EMA(c, n)}
        yield f"dema:length={n}", {"value": talib.DEMA(c, n)}
        yield f"tema:length={n}", {"value": talib.TEMA(c, n)}
        yield f"kama:length={n}", {"value": talib.KAMA(c, n)}
        yield f"trix:length={n}", {"value": talib.TRIX(c, n)}
        yield f"mom:length={n}", {"value": talib.MOM(c, n)}
        yield f"roc:length={n}", {"value": talib.ROC(c, n)}
        yield f"rsi:length={n}", {"value": talib.RSI(c, n)}
        yield f"willr:length={n}", {"value": talib.WILLR(h, l, c, n)}
        yield f"atr:length={n}", {"value": talib.ATR(h, l, c, n)}
        yield f"natr:length={n}", {"value": talib.NATR(h, l, c, n)}
        yield f"cci:length={n}", {"value": talib.CCI(h, l, c, n)}
        yield f"mfi:length={n}", {"value": in_parts(lambda *x: talib.MFI(*x, n), n, h, l, c, v)}
        yield f"max:length={n}", {"value": talib.MAX(c, n)}
        yield f"min:length={n}", {"value": talib.MIN(c, n)}
        down, up = talib.AROON(h, l, n)
        yield f"aroon:length={n}", {"up": up, "down": down, "oscillator": talib.AROONOSC(h, l, n)}
        yield (
            f"adx:length={n}",
            {
                "adx": talib.ADX(h, l, c, n),
                "plus_di": talib.PLUS_DI(h, l, c, n),
                "minus_di": talib.MINUS_DI(h, l, c, n),
            },
        )
        deviations = windows(c, n).std(axis=1)
        yield f"stddev:length={n}", {"value": in_parts(lambda x: talib.STDDEV(x, n, 1), n - 1, c)}
        yield f"stddev:length={n},ddof=1", {"value": late(windows(c, n).std(axis=1, ddof=1), count)}
        yield f"stddev:length={n},ddof=0", {"value": late(deviations, count)}
        yield f"zscore:length={n}", {"value": z_score(c, n, 0)}
        yield f"zscore:length={n},ddof=1", {"value": z_score(c, n, 1)}
        yield (
            f"linearreg:length={n}",
            {
                "value": talib.LINEARREG(c, n),
                "slope": talib.LINEARREG_SLOPE(c, n),
                "intercept": talib.LINEARREG_INTERCEPT(c, n),
                "angle": talib.LINEARREG_ANGLE(c, n),
            },
        )
        yield (
            f"bbands:length={n},above=2,below=1.5",
            dict(
                zip(
                    ("upper", "middle", "lower"),
                    np.array(
                        [
                            in_parts(lambda x: talib.BBANDS(x, n, 2, 1.5)[line], n - 1, c)
                            for line in range(3)
                        ]
                    ),
                )
            ),
        )
        highest, lowest = late(windows(h, n).max(axis=1), count), late(windows(l, n).min(axis=1), count)
        yield (
            f"donchian:length={n}",
            {"upper": highest, "middle": (highest + lowest) / 2, "lower": lowest},
        )
        middle, distance = talib.EMA(c, n), 1.5 * talib.ATR(h, l, c, 10)
        middle = np.where(np.isnan(distance), np.nan, middle)
        yield (
            f"keltner:length={n},range=10,multiple=1.5",
            {"upper": middle + distance, "middle": middle, "lower": middle - distance},
        )
        returns = np.diff(np.log(c))
        yield (
            f"volatility:length={n},periods=1638",
            {"value": late(windows(returns, n).std(axis=1, ddof=1) * np.sqrt(1638), count)},
        )
        yield f"correl:length={n}", {"value": in_parts(lambda x, y: talib.CORREL(x, y, n), n - 1, c, against)}
        # TA-Lib's beta is that of its second series on its first one. Over two returns that differ little it has
        # no digits left, so the shortest is over five.
        m = max(n, 5)
        yield f"beta:length={m}", {"value": in_parts(lambda x, y: talib.BETA(y, x, m), m, c, against)}
        typical = (h + l + c) / 3
        traded, volume = windows(typical * v, n).sum(axis=1), windows(v, n).sum(axis=1)
        yield (
            f"vwap:anchor=rolling,length={n}",
            {"value": late(traded / np.where(volume > 0, volume, np.nan), count)},
        )
    typical = pd.Series((h + l + c) / 3 * v, index=frame.index)
    volume = pd.Series(v, index=frame.index)
    day = frame.index.date
    session = typical.groupby(day).cumsum() / volume.groupby(day).cumsum()
    yield "vwap", {"value": session.to_numpy()}
    yield "vwap:anchor=series", {"value": (typical.cumsum() / volume.cumsum()).to_numpy()}
    for fast, slow, signal in ((12, 26, 9), (3, 10, 1)):
        macd = talib.MACD(c, fast, slow, signal)
        yield (
            f"macd:fast={fast},slow={slow},signal={signal}",
            dict(zip(("macd", "signal", "histogram"), macd)),
        )
        yield f"ppo:fast={fast},slow={slow}", {"value": talib.PPO(c, fast, slow, 0)}
        yield f"ppo:fast={fast},slow={slow},average=exponential", {"value": talib.PPO(c, fast, slow, 1)}
        yield f"adosc:fast={fast},slow={slow}", {"value": talib.ADOSC(h, l, c, v, fast, slow)}
    for length, smoothing, signal in ((5, 3, 3), (14, 1, 3), (60, 5, 10)):
        slow = talib.STOCH(h, l, c, length, smoothing, 0, signal, 0)
        fast = talib.STOCHF(h, l, c, length, signal, 0)
        yield f"stoch:length={length},smoothing={smoothing},signal={signal}", dict(zip(("k", "d"), slow))
        yield f"stochf:length={length},signal={signal}", dict(zip(("k", "d"), fast))
        index = talib.STOCHRSI(c, length, length, signal, 0)
        yield f"stochrsi:length={length},range={length},signal={signal}", dict(zip(("k", "d"), index))
    yield "ultosc", {"value": talib.ULTOSC(h, l, c, 7, 14, 28)}
    yield "ultosc:short=30,medium=3,long=10", {"value": talib.ULTOSC(h, l, c, 30, 3, 10)}
    yield "sar", {"value": talib.SAR(h, l, 0.02, 0.2)}
    yield "sar:step=0.1,most=0.3", {"value": talib.SAR(h, l, 0.1, 0.3)}
    yield "obv", {"value": talib.OBV(c, v)}
    yield "ad", {"value": talib.AD(h, l, c, v)}


def main(output: str, source: str, other: str | None = None) -> None:
    frame = bars(source)
    if other is None:
        against = np.concatenate([frame["close"].to_numpy(float)[2:], frame["close"].to_numpy(float)[-2:]])
    else:
        second = bars(other)["close"]
        second = second[~second.index.duplicated()]
        frame = frame[~frame.index.duplicated()]
        frame = frame[frame.index.isin(second.index)]
        against = second.loc[frame.index].to_numpy(float)
    with open(output, "wb") as file:
        for name in ("open", "high", "low", "close", "volume"):
            frame[name].to_numpy(float).tofile(file)
        against.tofile(file)
        frame.index.as_unit("ns").asi8.astype(float).tofile(file)
        for request, columns in figures(frame, against):
            for name, column in columns.items():
                print(f"{request}\t{name}")
                np.asarray(column, float).tofile(file)


if __name__ == "__main__":
    main(*sys.argv[1:])
