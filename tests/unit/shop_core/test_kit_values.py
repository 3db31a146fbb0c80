"""The kit's small parts: settings, references, deadlines, problems, ledger, log, metrics."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from time import monotonic

import orjson
import pytest

from stack.kit import context, metrics, references
from stack.kit.http import Request
from stack.kit.ledger import AppendOnlyLedger
from stack.kit.log import log
from stack.kit.problems import Problem, overloaded
from stack.kit.settings import SettingError, env_bool, env_float, env_int, env_str, identity, link_addresses

# ---- settings


def test_a_setting_without_a_default_must_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("THING", raising=False)
    with pytest.raises(SettingError, match="THING is not set"):
        env_str("THING")
    assert env_str("THING", "x") == "x"


def test_settings_that_are_malformed_say_what_would_be_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THING", "many")
    for read in (env_int, env_float, env_bool):
        with pytest.raises(SettingError, match=r"THING='many'.*e\.g\. THING="):
            read("THING")


def test_switches_know_the_usual_words(monkeypatch: pytest.MonkeyPatch) -> None:
    for word, meaning in {"1": True, "TRUE": True, "on": True, "0": False, "no": False}.items():
        monkeypatch.setenv("THING", word)
        assert env_bool("THING") is meaning
    monkeypatch.delenv("THING")
    assert env_bool("THING", default=True) is True


def test_a_link_has_one_address_for_each_replica(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINK_ORDERS_DB", "postgresql://a, postgresql://b")
    assert link_addresses("orders-db") == ("postgresql://a", "postgresql://b")
    monkeypatch.setenv("LINK_ORDERS_DB", ",")
    with pytest.raises(SettingError, match="LINK_ORDERS_DB holds no address"):
        link_addresses("orders-db")


def test_a_process_knows_who_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_NAME", "cart")
    monkeypatch.setenv("SERVICE_INSTANCE", "cart[1]")
    monkeypatch.setenv("LISTEN_ADDRESS", "127.0.0.1:8001")
    monkeypatch.setenv("DATA_DIR", "/tmp/cart")
    me = identity()
    assert (me.name, me.instance, me.host, me.port, me.data_dir) == (
        "cart",
        "cart[1]",
        "127.0.0.1",
        8001,
        Path("/tmp/cart"),
    )
    monkeypatch.setenv("LISTEN_ADDRESS", "8001")
    with pytest.raises(SettingError, match="host:port"):
        identity()


# ---- references


def test_a_key_has_one_reference_and_one_order_everywhere() -> None:
    assert references.for_key("abc") == references.for_key("abc") == "R-V2XH9P1KTP"
    assert str(references.order_id_for("abc")) == "83a9d5ac-6699-5f3d-a2eb-924576bc0709"
    assert len({references.for_key(str(n)) for n in range(5_000)}) == 5_000


def test_references_can_be_read_out_loud() -> None:
    for _ in range(100):
        reference = references.random()
        assert len(reference) == 12
        assert reference.startswith("R-")
        assert not set(reference[2:]) & set("ILOUilou")


# ---- context


def a_request(**headers: str) -> Request:
    return Request("POST", "/x", "", {n.replace("_", "-").encode(): v.encode() for n, v in headers.items()}, b"")


def test_a_request_brings_its_reference_deadline_and_cohort() -> None:
    work = a_request(x_reference="R-1", x_deadline_ms="1500", x_cohort="network:visa").work

    assert (work.reference, work.cohort) == ("R-1", "network:visa")
    assert 1.0 < work.deadline - monotonic() <= 1.5


def test_a_write_without_a_reference_gets_that_of_its_key() -> None:
    assert a_request(idempotency_key="abc").reference == references.for_key("abc")
    assert a_request(idempotency_key="abc", x_reference="R-1").reference == "R-1"


def test_a_deadline_that_is_no_number_is_a_bad_request() -> None:
    with pytest.raises(Problem, match="X-Deadline-Ms"):
        _ = a_request(x_deadline_ms="soon").work


def test_a_deadline_narrows_and_never_widens() -> None:
    with context.bound(reference="R-1", deadline_s=2.0):
        with context.deadline(1.0):
            assert 0.5 < context.remaining_s() <= 1.0
            with context.deadline(100.0):
                assert context.remaining_s() <= 1.0
        assert 1.5 < context.remaining_s() <= 2.0
        assert context.reference() == "R-1"
    assert context.remaining_s() == context.DEFAULT_DEADLINE_S


def test_a_deadline_that_has_passed_leaves_nothing() -> None:
    with context.deadline(-1.0):
        assert context.remaining_s() == 0.0


def test_work_at_the_same_time_keeps_apart() -> None:
    async def one(name: str) -> str:
        with context.bound(reference=name):
            await asyncio.sleep(0)
            return context.reference()

    async def both() -> list[str]:
        return list(await asyncio.gather(one("R-1"), one("R-2")))

    assert asyncio.run(both()) == ["R-1", "R-2"]


# ---- problems


def test_a_problem_says_whether_to_try_again_and_whom_to_ask() -> None:
    body = orjson.loads(overloaded(retry_after_s=2.0).body("R-1"))

    assert body["type"] == "/problems/overloaded"
    assert body["status"] == 503
    assert body["reference"] == "R-1"
    assert body["safe_to_retry"] is True
    assert body["retry_after_s"] == 2.0
    assert "@" in body["contact"]


def test_extra_members_never_hide_the_problems_own() -> None:
    problem = Problem(409, "sold-out", "t", "d", safe_to_retry=False, extra={"skus": ["a"], "status": 200})

    assert orjson.loads(problem.body("R-1"))["skus"] == ["a"]
    assert orjson.loads(problem.body("R-1"))["status"] == 409


def test_a_key_that_is_missing_or_unfit_is_a_bad_request() -> None:
    for key in ("", "a b", "x" * 201, "tab\tbed"):
        with pytest.raises(Problem, match="Idempotency-Key"):
            a_request(idempotency_key=key).idempotency_key()
    assert a_request(idempotency_key="a-b_c:1").idempotency_key() == "a-b_c:1"


def test_a_body_that_is_not_an_object_is_a_bad_request() -> None:
    request = a_request()
    for body in (b"", b"{", b"[]", b"\xff"):
        request.body = body
        with pytest.raises(Problem, match="bad-request"):
            request.json_object()


# ---- ledger and log


def test_a_ledger_keeps_what_was_appended_and_drops_half_a_line(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger = AppendOnlyLedger(path)
    ledger.append({"n": 1})
    ledger.append_all([{"n": 2}, {"n": 3}])
    ledger.close()
    with path.open("ab") as file:
        file.write(b'{"n": 4')

    again = AppendOnlyLedger(path)
    again.append({"n": 5})

    assert [record["n"] for record in again.read()] == [1, 2, 3, 5]
    again.close()


def test_a_log_line_carries_the_reference_of_the_work(capsys: pytest.CaptureFixture[str]) -> None:
    with context.bound(reference="R-1"):
        log("order-placed", order_id="o", level="info")

    line = json.loads(capsys.readouterr().out)
    assert (line["event"], line["reference"], line["order_id"], line["level"]) == ("order-placed", "R-1", "o", "info")
    assert line["ts"].endswith("+00:00")


# ---- metrics


def test_metrics_exist_at_zero_and_count_cumulatively() -> None:
    door = metrics.request_metrics("made-for-a-test")
    sample = f'service="{metrics.SERVICE}",operation="made-for-a-test"'
    assert f'http_requests_total{{{sample},status_class="5xx"}} 0\n' in metrics.exposition().decode()

    door.record(200, 0.1)
    door.record(503, 0.3)

    text = metrics.exposition().decode()
    assert f'http_requests_total{{{sample},status_class="2xx"}} 1\n' in text
    assert f'http_request_duration_seconds_bucket{{{sample},le="0.1"}} 1\n' in text
    assert f'http_request_duration_seconds_bucket{{{sample},le="0.5"}} 2\n' in text
    assert f'http_request_duration_seconds_bucket{{{sample},le="+Inf"}} 2\n' in text
    assert f"http_request_duration_seconds_count{{{sample}}} 2\n" in text
    assert metrics.request_metrics("made-for-a-test") is door


def test_metrics_are_read_by_prometheus_own_parser() -> None:
    from prometheus_client.parser import text_string_to_metric_families

    link = metrics.link_metrics("made-for-a-test")
    link.start()
    link.record("timeout", 0.02)

    families = {family.name: family for family in text_string_to_metric_families(metrics.exposition().decode())}
    calls = {sample.labels["outcome"]: sample.value for sample in families["link_calls"].samples}
    assert calls["timeout"] >= 1
    assert set(calls) == set(metrics.OUTCOMES)
    assert {(sample.labels["link"], sample.value) for sample in families["link_calls_started"].samples} >= {
        (link.link, 1)
    }
    assert {family.type for family in families.values()} <= {"counter", "gauge", "histogram"}
