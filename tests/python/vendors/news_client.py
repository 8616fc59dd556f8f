"""newsapi-python: everything, top headlines, sources. It knows no other address than NewsAPI's, so its session is
redirected below."""

import datetime

import requests
from newsapi import NewsApiClient
from newsapi.newsapi_exception import NewsAPIException
from requests.adapters import HTTPAdapter

from stand import ADDRESSES, KEY, asked, call, fault, raises, reset, same

NEWS = ADDRESSES["news"]


class Redirected(HTTPAdapter):
    """Sends what is meant for NewsAPI to the stand-in."""

    def send(self, request, **more):
        request.url = NEWS + "/" + request.url.split("://", 1)[1].partition("/")[2]
        return super().send(request, **more)


def client(key=KEY):
    session = requests.Session()
    session.mount("https://", Redirected())
    return NewsApiClient(api_key=key, session=session)


def late(hours):
    """Articles that are as old as the plan wants, newest first."""
    now = call("GET", "/clock")["now_ns"]
    rows = [row for row in call("GET", "/market/articles") if row["created_ns"] <= now - hours * 3600 * 10**9]
    return rows[::-1]


reset()
news = client()
everything = late(24)
month = [row for row in everything if row["created_ns"] >= call("GET", "/clock")["now_ns"] - 30 * 86400 * 10**9]
found = news.get_everything(q="report", page_size=20, page=2)
same((found["status"], found["totalResults"]), ("ok", len(month)))
same([row["title"] for row in found["articles"]], [row["headline"] for row in month[20:40]])
first = found["articles"][0]
same((first["source"], first["urlToImage"], first["description"]),
     ({"id": "benzinga", "name": "Benzinga"}, None, month[20]["summary"]))
assert first["content"].endswith(" chars]") and len(first["content"]) < 230, first["content"]
same(asked("news")[0]["headers"]["authorization"], KEY, "without a Bearer")
about = news.get_everything(q="AAPL", page_size=100)
same(about["totalResults"], len([row for row in month if "AAPL" in row["headline"]]))
one_day = news.get_everything(q="report", from_param="2026-01-03", to="2026-01-04T00:00:00")
assert all(row["publishedAt"].startswith(("2026-01-03", "2026-01-04")) for row in one_day["articles"])
assert one_day["totalResults"] > 10

error = raises(NewsAPIException, lambda: news.get_everything(q="report", page_size=100, page=2))
same(error.get_code(), "maximumResultsReached")
same(asked("news")[-1]["status"], 426)
error = raises(NewsAPIException, lambda: news.get_everything(q="report", from_param="2025-01-01"))
assert "too far in the past" in error.get_message()
same(raises(NewsAPIException, lambda: news.get_everything(language="en")).get_code(), "parametersMissing")
same(raises(NewsAPIException, lambda: news.get_everything(sources="nobody")).get_code(), "sourceDoesNotExist")
many = ",".join(f"s{number}" for number in range(21))
same(raises(NewsAPIException, lambda: news.get_everything(sources=many)).get_code(), "sourcesTooMany")
same(raises(NewsAPIException, lambda: client("wrong").get_everything(q="x")).get_code(), "apiKeyInvalid")
same(requests.get(NEWS + "/v2/everything", params={"q": "x"}).json()["code"], "apiKeyMissing")
call("PATCH", "/settings", {"requests_per_minute": {"news": 1}})
news.get_sources()
same(raises(NewsAPIException, news.get_sources).get_code(), "rateLimited")
reset()
headlines = news.get_top_headlines(category="business", country="us")
same((len(headlines["articles"]) <= 20 or headlines["totalResults"] <= 38, headlines["status"]), (True, "ok"))
same(headlines["articles"][0]["title"], late(0)[0]["headline"], "headlines are not late")
same([row["id"] for row in news.get_sources()["sources"]], ["benzinga", "example-news"])
call("POST", "/market/say", {"kind": "news", "symbol": "", "article": {
    "id": 1, "headline": "[Removed]", "author": "", "summary": "", "content": "", "source": "Somebody",
    "created_ns": 1767600000 * 10**9, "updated_ns": 1767600000 * 10**9, "url": "https://removed.example"}})
removed = news.get_everything(q="[Removed]")["articles"][0]
same((removed["author"], removed["description"], removed["source"]), (None, None, {"id": None, "name": "Somebody"}))
fault("news", fault="answer", status=500, body={"status": "error", "code": "unexpectedError", "message": "Try again."})
same(raises(NewsAPIException, lambda: news.get_everything(q="x")).get_code(), "unexpectedError")
print("news_client: as served")
