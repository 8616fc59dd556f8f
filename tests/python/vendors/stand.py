"""The stand-in's control interface, for the scripts beside it.

Each script points a vendor's own client at the stand-in (its addresses are in the environment variable VENDORS),
tells the stand-in what to serve, and compares what the client made of it. A difference ends it with a traceback.
"""

import json
import os
import threading
import time

import requests

ADDRESSES = json.loads(os.environ["VENDORS"])
KEY = ADDRESSES["key"]
SECRET = ADDRESSES["secret"]
CONTROL = ADDRESSES["control"]


def call(method, path, body=None, /, **query):
    """A call of the control interface; what it answers."""
    answer = requests.request(method, CONTROL + path, json=body, params=query, timeout=30)
    if answer.status_code != 200:
        raise AssertionError(f"{method} {path}: {answer.status_code} {answer.text}")
    return answer.json()


def reset(**script):
    """Begins anew; limits on requests are taken off, for scripts ask more in a minute than a strategy does."""
    call("POST", "/reset", script)
    call("PATCH", "/settings", {"requests_per_minute": {"alpaca_trading": None, "alpaca_data": None}})


def fault(vendor, path="", **what):
    """Arms a fault for requests."""
    call("POST", "/faults/http", {"vendor": vendor, "path": path, **what})


def stream_fault(vendor, **what):
    """Arms a fault for a stream."""
    call("POST", "/faults/stream", {"vendor": vendor, **what})


def asked(vendor, path=""):
    """The requests that a vendor got."""
    return call("GET", "/requests", vendor=vendor, path=path)


def bars(symbol, timeframe="1Min", **query):
    """The bars that the vendors are to show."""
    return call("GET", "/market/bars", symbol=symbol, timeframe=timeframe, **query)


def same(got, want, what=""):
    """Fails unless both are equal."""
    if got != want:
        raise AssertionError(f"{what}: got {got!r}, expected {want!r}")


def near(got, want, what="", within=1e-6):
    """Fails unless two numbers are about the same."""
    if abs(float(got) - float(want)) > within * max(1.0, abs(float(want))):
        raise AssertionError(f"{what}: got {got!r}, expected {want!r}")


def raises(kind, work):
    """What `work` raises, which must be a `kind`."""
    try:
        found = work()
    except kind as error:
        return error
    raise AssertionError(f"expected {kind.__name__}, got {found!r}")


def until(condition, what, seconds=30):
    """Waits until something is so."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what}")


def apart(work):
    """Runs something beside the script, which does not wait for it at its end."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread
