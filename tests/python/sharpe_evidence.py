"""The normal distribution and the Sharpe ratios' probabilities with scipy.

Reads lines from standard input: `cdf` and `ppf` with values; `sharpe` with the number of trials, the variance of
their annual Sharpe ratios and daily returns. Prints values per line; for `sharpe` the probabilistic and the
deflated Sharpe ratio of Bailey and López de Prado (2012, 2014).
"""

import sys

import numpy as np
from scipy.stats import kurtosis, norm, skew


def evidence(trials, variance, returns):
    count = len(returns)
    sharpe = returns.mean() / returns.std(ddof=1)
    spread = np.sqrt(1 - skew(returns) * sharpe + (kurtosis(returns, fisher=False) - 1) / 4 * sharpe**2)

    def above(benchmark):
        return norm.cdf((sharpe - benchmark) * np.sqrt(count - 1) / spread)

    luck = 0.0
    if trials > 1:
        best = (1 - np.euler_gamma) * norm.ppf(1 - 1 / trials) + np.euler_gamma * norm.ppf(1 - 1 / (trials * np.e))
        luck = np.sqrt(variance / 252) * best
    return above(0.0), above(luck)


def main() -> None:
    for line in sys.stdin:
        kind, *fields = line.split()
        values = np.array([float(field) for field in fields])
        if kind == "cdf":
            found = norm.cdf(values)
        elif kind == "ppf":
            found = norm.ppf(values)
        else:
            found = evidence(int(values[0]), values[1], values[2:])
        print(*(repr(float(value)) for value in found))


if __name__ == "__main__":
    main()
