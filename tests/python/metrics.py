"""Measures equity series with empyrical-reloaded, a benchmark beside them.

`metrics.py`: reads one case per line from standard input: the annual risk-free rate, the daily equity with the
starting equity first, and the benchmark's values of the same days or nothing; the three parts are separated by
`|`, values by spaces. Prints per case `name=value` pairs, `none` for what is no finite number.

`metrics.py closes NAME`: prints the daily closes of a series that comes with `backtesting`.
"""

import sys
import warnings

import empyrical as e
import numpy as np

PERIODS_PER_YEAR = 252


def measures(rate, equity, benchmark):
    returns = equity[1:] / equity[:-1] - 1
    daily = (1 + rate) ** (1 / PERIODS_PER_YEAR) - 1
    yield "total_return", lambda: e.cum_returns_final(returns)
    yield "cagr", lambda: e.annual_return(returns)
    yield "volatility", lambda: e.annual_volatility(returns)
    yield "sharpe", lambda: e.sharpe_ratio(returns, risk_free=daily)
    yield "sortino", lambda: e.sortino_ratio(returns, required_return=daily)
    yield "calmar", lambda: e.calmar_ratio(returns)
    yield "omega", lambda: e.omega_ratio(returns, required_return=rate)
    yield "max_drawdown", lambda: e.max_drawdown(returns)
    yield "downside_risk", lambda: e.downside_risk(returns, required_return=daily)
    yield "value_at_risk", lambda: e.value_at_risk(returns)
    yield "conditional_value_at_risk", lambda: e.conditional_value_at_risk(returns)
    yield "tail_ratio", lambda: e.tail_ratio(returns)
    yield "stability", lambda: e.stability_of_timeseries(returns)
    if len(benchmark):
        other = benchmark[1:] / benchmark[:-1] - 1
        yield "alpha", lambda: e.alpha(returns, other, risk_free=daily)
        yield "beta", lambda: e.beta(returns, other, risk_free=daily)
        yield "correlation", lambda: np.corrcoef(returns, other)[0, 1]
        yield "tracking_error", lambda: e.annual_volatility(returns - other)
        yield "information_ratio", lambda: e.excess_sharpe(returns, other)
        yield "up_capture", lambda: e.up_capture(returns, other)
        yield "down_capture", lambda: e.down_capture(returns, other)
        yield "capture_ratio", lambda: e.up_down_capture(returns, other)
        yield "benchmark_cagr", lambda: e.annual_return(other)
        yield "benchmark_return", lambda: e.cum_returns_final(other)


def text(measure):
    try:
        value = float(measure())
    except (ValueError, ZeroDivisionError):
        return "none"
    return repr(value) if np.isfinite(value) else "none"


def numbers(part):
    return np.array([float(field) for field in part.split()])


def main() -> None:
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    if sys.argv[1:2] == ["closes"]:
        import backtesting.test

        close = getattr(backtesting.test, sys.argv[2]).Close.resample("D").last().dropna()
        for time, value in close.items():
            print(time.date(), repr(float(value)))
        return
    for line in sys.stdin:
        rate, equity, benchmark = line.rstrip("\n").split("|")
        found = measures(float(rate), numbers(equity), numbers(benchmark))
        print(*(f"{name}={text(measure)}" for name, measure in found))


if __name__ == "__main__":
    main()
