"""Measures equity series with empyrical-reloaded.

Reads one series per line from standard input: the annual risk-free rate, then daily equity with the
starting equity first, separated by spaces. Prints per series, separated by spaces: total return, maximum
drawdown, annual volatility, Sharpe ratio.
"""

import sys

import empyrical
import numpy as np

PERIODS_PER_YEAR = 252


def main() -> None:
    for line in sys.stdin:
        rate, *equity = (float(field) for field in line.split())
        equity = np.array(equity)
        returns = equity[1:] / equity[:-1] - 1
        risk_free = (1 + rate) ** (1 / PERIODS_PER_YEAR) - 1
        measures = (
            empyrical.cum_returns_final(returns),
            empyrical.max_drawdown(returns),
            empyrical.annual_volatility(returns),
            empyrical.sharpe_ratio(returns, risk_free=risk_free),
        )
        print(*(repr(float(measure)) for measure in measures))


if __name__ == "__main__":
    main()
