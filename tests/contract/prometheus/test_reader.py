"""Our reader against the real server, and against one that misbehaves."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from crashcart.model.errors import ControlPlaneError
from crashcart.model.slo import Selector, parse_selector
from crashcart.prometheus import PrometheusReader
from tests.contract.prometheus.conftest import INTERVAL_S, Prometheus, Web, until

NOW = Selector("good_total")


def _latest(prometheus: Prometheus, selector: str) -> dict[str, float]:
    return {json.dumps(labels, sort_keys=True): v for labels, v in prometheus.reader.latest(parse_selector(selector))}


def test_the_latest_value_of_each_selected_series(prometheus: Prometheus) -> None:
    prometheus.scraped('events_total{outcome="ok",cohort="all"} 5\nevents_total{outcome="error",cohort="all"} 2\n')
    ok = {"__name__": "events_total", "job": "shop", "instance": "shop[0]", "outcome": "ok", "cohort": "all"}
    assert _latest(prometheus, 'events_total{outcome="ok"}') == {json.dumps(ok, sort_keys=True): 5.0}
    assert len(_latest(prometheus, "events_total")) == 2
    assert _latest(prometheus, 'events_total{outcome="none"}') == {}


def test_a_series_that_is_no_longer_served_has_no_latest_value(prometheus: Prometheus) -> None:
    prometheus.scraped("short_lived_total 1\n")
    prometheus.scraped("other_total 1\n")
    assert _latest(prometheus, "short_lived_total") == {}


def test_raw_samples_are_those_that_were_scraped_with_their_own_times(prometheus: Prometheus) -> None:
    start = time.time()
    prometheus.scraped('raw_total{b="2",a="1"} 1\n')
    end = prometheus.scraped('raw_total{b="2",a="1"} 7\n')
    samples = prometheus.reader.raw(Selector("raw_total"), start_wall_s=start, end_wall_s=end, t0_wall_s=start + 1)
    assert {sample.metric for sample in samples} == {"raw_total"}
    assert {sample.labels for sample in samples} == {'{"a": "1", "b": "2", "instance": "shop[0]", "job": "shop"}'}
    values = [sample.value for sample in sorted(samples, key=lambda sample: sample.t)]
    assert values == sorted(values)
    assert set(values) == {1.0, 7.0}
    times = [sample.t for sample in samples]
    assert len(set(times)) == len(times) >= 4
    assert all(-1.0 <= t <= end - start - 1 for t in times)


def test_raw_samples_end_where_asked(prometheus: Prometheus) -> None:
    start = time.time()
    middle = prometheus.scraped("ends_total 1\n")
    end = prometheus.scraped("ends_total 2\n")
    prometheus.scraped("ends_total 3\n")  # what was asked for before `end` is written by now
    whole = prometheus.reader.raw(Selector("ends_total"), start_wall_s=start, end_wall_s=end, t0_wall_s=0)
    first = prometheus.reader.raw(Selector("ends_total"), start_wall_s=start, end_wall_s=middle, t0_wall_s=0)
    rest = prometheus.reader.raw(Selector("ends_total"), start_wall_s=middle, end_wall_s=end, t0_wall_s=0)
    assert sorted(first, key=lambda s: s.t) + sorted(rest, key=lambda s: s.t) == sorted(whole, key=lambda s: s.t)
    assert first
    assert rest


def test_matchers_with_quotes_and_patterns_reach_the_server_as_they_are(prometheus: Prometheus) -> None:
    prometheus.scraped('odd_total{name="a \\"b\\" [0]"} 1\nodd_total{name="c"} 2\n')
    assert len(_latest(prometheus, 'odd_total{name=~"a.*"}')) == 1
    assert len(_latest(prometheus, 'odd_total{name!="c"}')) == 1


def test_a_gap_in_the_scrapes_is_found_and_a_target_that_never_answered_is_one_gap(prometheus: Prometheus) -> None:
    start = prometheus.scraped("gap_total 1\n")
    prometheus.page.text = None
    silent_since = time.time()
    # a scrape that began in the silence may be answered after it: six intervals for that
    until(lambda: time.time() > silent_since + 16 * INTERVAL_S)
    end = prometheus.scraped("gap_total 2\n")
    gaps = prometheus.reader.scrape_gaps(start_wall_s=start, end_wall_s=end, longest_s=9 * INTERVAL_S)
    assert ("shop/shop[1]", start, end) in gaps
    assert any(
        name == "shop/shop[0]" and began <= silent_since + INTERVAL_S and ended >= silent_since + 10 * INTERVAL_S
        for name, began, ended in gaps
    )


def test_without_a_gap_there_is_none(prometheus: Prometheus) -> None:
    start = prometheus.scraped("steady_total 1\n")
    end = prometheus.scraped("steady_total 2\n")
    assert prometheus.reader.scrape_gaps(start_wall_s=start, end_wall_s=end, longest_s=60) == []


def test_a_value_that_is_no_number_is_an_error(prometheus: Prometheus) -> None:
    prometheus.scraped("broken_total NaN\n")
    with pytest.raises(ControlPlaneError, match="broken_total is not a number"):
        prometheus.reader.latest(Selector("broken_total"))


def test_an_http_proxy_in_the_environment_is_ignored(prometheus: Prometheus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    until(lambda: prometheus.reader.latest(Selector("up")))


@pytest.fixture
def misbehaving(web: Web) -> Iterator[Web]:
    yield web
    web.answer = None


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, b'{"status":"error","errorType":"internal","error":"out of memory"}', "out of memory"),
        (422, b'{"status":"error","error":"query processing would load too many samples"}', "422: query processing"),
        (503, b"<html>try later</html>", "503: <html>try later"),
        (200, b'{"status":"success","warnings":["one block is missing"],"data":{}}', "in part: one block is missing"),
        (200, b'{"status":"success","data":{"resultType":"matrix","result":[]}}', "did not answer good_total"),
        (200, b'{"status":"success","data":null}', "did not answer good_total"),
        (200, b'{"status":"succ', "can not be read"),
        (200, b"[]", "answered with an error"),
    ],
)
def test_what_is_not_a_whole_answer_is_an_error(misbehaving: Web, status: int, body: bytes, said: str) -> None:
    misbehaving.answer = lambda path: (status, body)
    with pytest.raises(ControlPlaneError, match=said):
        PrometheusReader(f"http://{misbehaving.address}").latest(NOW)


def test_a_server_that_does_not_answer_is_given_up_in_time(misbehaving: Web) -> None:
    def slowly(path: str) -> tuple[int, bytes]:
        time.sleep(0.6)
        return 200, b"{}"

    misbehaving.answer = slowly
    with pytest.raises(ControlPlaneError, match="timed out"):
        PrometheusReader(f"http://{misbehaving.address}", timeout_s=0.2).latest(NOW)


def test_where_nobody_listens_it_says_so(free_port: int) -> None:
    with pytest.raises(ControlPlaneError, match="refused"):
        PrometheusReader(f"http://127.0.0.1:{free_port}").latest(NOW)
