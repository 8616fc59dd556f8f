"""sma_cross: long while the fast simple moving average of closes is above the slow one.

The twin of the built-in strategy of that name. Enters long, when flat, on the bar at which fast > slow after
fast < slow on the bar before; exits, when it holds, on the bar at which fast < slow after fast > slow. After a bar at
which both are equal nothing crosses. The averages are compared as exact whole sums, so equal is equal.

Replace `SmaCross` with your own idea: `on_bar` gets every bar, oldest first, and answers with signals.
"""

import asyncio
import json
import os
import pathlib
import sys
from collections import deque

import tape
from deck import Deck



def bars(name: str, default: str) -> int:
    """A number of bars from the environment."""
    value = os.environ.get(name, default)
    if not value.isdigit() or int(value) == 0:
        sys.exit(f"{name}={value!r}: expected a whole number of bars, 1 or more")
    return int(value)


FAST, SLOW = bars("FAST", "20"), bars("SLOW", "50")
if FAST >= SLOW:
    sys.exit(f"FAST={FAST}: expected less than SLOW, which is {SLOW}")


class Series:
    """The last closes of one symbol and timeframe, in 1e-9 of the currency."""

    def __init__(self):
        self.closes = deque(maxlen=SLOW)
        self.relation = None
        self.newest_ns = 0

    def compare(self):
        """-1, 0 or 1 as fast is below, at or above slow; None until there are enough closes."""
        if len(self.closes) < SLOW:
            return None
        fast, slow = sum(list(self.closes)[-FAST:]) * SLOW, sum(self.closes) * FAST
        return (fast > slow) - (fast < slow)


class SmaCross:
    def __init__(self):
        self.series = {}
        self.splits = set()

    def on_bar(self, bar: dict, close_ns: int, held: int) -> list[dict]:
        """Takes a closed bar; `held` is what this strategy holds of the symbol, in 1e-9 share."""
        series = self.series.setdefault((bar["symbol"], bar["timeframe"]), Series())
        if close_ns <= series.newest_ns:
            return []
        series.newest_ns = close_ns
        series.closes.append(bar["closeE9"])
        before, series.relation = series.relation, series.compare()
        now = series.relation
        if before is None or now is None:
            return []
        if before < 0 < now and held == 0:
            intent, word = "enter_long", "above"
        elif now < 0 < before and held > 0:
            intent, word = "exit", "below"
        else:
            return []
        fast, slow = sum(list(series.closes)[-FAST:]), sum(series.closes)
        return [
            {
                "symbol": bar["symbol"],
                "intent": intent,
                "indicators": {
                    "sma_fast": fast / FAST / 1e9,
                    "sma_slow": slow / SLOW / 1e9,
                    "close": bar["closeE9"] / 1e9,
                },
                "reason": f"the average of {FAST} closes crossed {word} the average of {SLOW}",
            }
        ]

    def on_split(self, symbol: str, ex_date: str, ratio) -> None:
        """Restates what is remembered in the shares that exist after the split."""
        if (symbol, ex_date) in self.splits:
            return
        self.splits.add((symbol, ex_date))
        for (known, _), series in self.series.items():
            if known == symbol:
                series.closes = deque((tape.divide(close, ratio) for close in series.closes), maxlen=SLOW)
                series.relation = series.compare()


def main():
    beside = pathlib.Path(__file__).with_name("credentials.json")
    path = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else beside
    try:
        credentials = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        sys.exit(f"{path}: {error}; `tapedeck strategy register NAME --credentials FILE` writes it")
    asyncio.run(Deck(credentials).run(SmaCross))


if __name__ == "__main__":
    main()
