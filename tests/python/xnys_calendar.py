"""Prints every session of the New York Stock Exchange from FIRST to LAST as CSV.

usage: xnys_calendar.py FIRST LAST        (dates as YYYY-MM-DD)

Columns: date in exchange time, open and close as UTC nanoseconds. The source is the package
exchange_calendars; nothing of the project is imported, so that the two calendars stay independent.
"""

import sys

import exchange_calendars


def main(first: str, last: str) -> None:
    # Without an end the package stops about a year ahead of today.
    calendar = exchange_calendars.get_calendar("XNYS", start=first, end=last)
    print("date,open_ns,close_ns")
    for date, row in calendar.schedule.iterrows():
        opened, closed = row["open"], row["close"]
        print(f"{date.date()},{opened.as_unit('ns').value},{closed.as_unit('ns').value}")


if __name__ == "__main__":
    main(*sys.argv[1:])
