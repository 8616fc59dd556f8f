"""Measures pairs of series with statsmodels.

Reads one pair per line from standard input: the first series, a vertical bar, the second series, values separated
by spaces. Prints per pair one line of numbers separated by spaces:

- of the regression of the first on the second and a constant: hedge ratio, intercept
- of `coint`: statistic, p-value, three critical values
- of `adfuller` on the first series, for each trend of n, c, ct and each criterion of AIC, BIC: statistic, p-value,
  lags, observations, three critical values
- of `coint_johansen`, for each deterministic order of -1, 0, 1 and each number of lags of 0, 1, 4: two eigenvalues,
  two trace statistics, two maximum-eigenvalue statistics, six and six critical values
- half-life and Hurst exponent of the residuals, from ordinary regressions
"""

import os
import sys
import warnings

# Threads cost more than they bring for columns of a thousand rows.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import statsmodels.api as sm
from statsmodels.tsa.stattools import adfuller, coint
from statsmodels.tsa.vector_ar.vecm import coint_johansen


def half_life(series: np.ndarray) -> float:
    """Observations after which half of a deviation is gone; not a number when it does not come back."""
    pull = sm.OLS(np.diff(series), sm.add_constant(series[:-1])).fit().params[1]
    return -np.log(2) / np.log1p(pull) if -1 < pull < 0 else float("nan")


def hurst(series: np.ndarray) -> float:
    """Slope of the log of the deviation of differences against the log of their length."""
    if len(series) < 40:
        return float("nan")
    lengths = range(2, 21)
    deviations = [np.log(np.std(series[lag:] - series[:-lag])) for lag in lengths]
    return sm.OLS(deviations, sm.add_constant(np.log(list(lengths)))).fit().params[1]


def measures(first: np.ndarray, second: np.ndarray) -> list[float]:
    fit = sm.OLS(first, sm.add_constant(second, prepend=False)).fit()
    statistic, p_value, critical = coint(first, second, trend="c", autolag="aic")
    numbers = [*fit.params, statistic, p_value, *critical]
    for trend in ("n", "c", "ct"):
        for criterion in ("AIC", "BIC"):
            test = adfuller(first, regression=trend, autolag=criterion, result_object=True)
            numbers += [test.statistic, test.pvalue, test.lags, test.nobs]
            numbers += [test.critical_values[level] for level in ("1%", "5%", "10%")]
    for order in (-1, 0, 1):
        for lags in (0, 1, 4):
            test = coint_johansen(np.column_stack([first, second]), order, lags)
            numbers += [*test.eig, *test.trace_stat, *test.max_eig_stat]
            numbers += [*test.trace_stat_crit_vals.flat, *test.max_eig_stat_crit_vals.flat]
    return [*numbers, half_life(fit.resid), hurst(fit.resid)]


def main() -> None:
    warnings.simplefilter("ignore")
    for line in sys.stdin:
        first, second = (np.array(part.split(), float) for part in line.split("|"))
        print(*(repr(float(number)) for number in measures(first, second)))


if __name__ == "__main__":
    main()
