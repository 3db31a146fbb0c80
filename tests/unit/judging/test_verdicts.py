from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from crashcart.judging import encode, judge
from crashcart.model.recording import SeriesSample
from crashcart.model.verdict import Outcome, Verdict
from tests.unit.judging.recordings import MadeUp, Told

Judged = Callable[[MadeUp], Verdict]


def _failed(told: Told) -> None:
    told.outcome = "failed"


def test_a_healthy_run_passes_and_says_what_held(run: MadeUp, judged: Judged) -> None:
    verdict = judged(run)
    assert (verdict.outcome, verdict.exit_status, verdict.valid, verdict.reasons) == (Outcome.PASS, 0, True, ())
    assert verdict.headline.startswith("Pass: while checkout.payments is down for 10s, every objective held")


def test_judging_again_gives_the_same_bytes(run: MadeUp, tmp_path: Path) -> None:
    run.spoil(_failed, 26, 30)
    directory = run.write(tmp_path / "run")
    assert encode(judge(directory)) == encode(judge(directory))


def test_a_copy_elsewhere_is_judged_the_same(run: MadeUp, tmp_path: Path) -> None:
    directory = run.write(tmp_path / "run")
    before = encode(judge(directory))
    elsewhere = directory.rename(tmp_path / "it's elsewhere")
    assert encode(judge(elsewhere)) == before


def test_a_missed_objective_in_the_fault_fails_the_run(run: MadeUp, judged: Judged) -> None:
    run.spoil(_failed, 26, 30)
    verdict = judged(run)
    assert (verdict.outcome, verdict.exit_status) == (Outcome.FAIL, 1)
    missed = {one.id for one in verdict.objectives if one.outcome is Outcome.FAIL}
    assert missed == {"fault/purchase-success/all", "fault/purchase-success/network:amex"}
    assert verdict.headline.startswith("Fail: purchase-success in fault: 60 % of 200 events, the objective is 90 %")
    assert verdict.cost.purchases_lost == 80
    assert verdict.cost.money_lost_cents == 80_000


def test_a_cohort_alone_fails_the_run_though_all_together_look_well(run: MadeUp, judged: Judged) -> None:
    def amex(told: Told) -> None:
        told.outcome = "failed" if told.network == "amex" else "ok"

    run.spoil(amex, 25, 29)
    verdict = judged(run)
    by_id = {one.id: one.outcome for one in verdict.objectives}
    assert by_id["fault/purchase-success/all"] is Outcome.PASS
    assert by_id["fault/purchase-success/network:amex"] is Outcome.FAIL
    assert verdict.outcome is Outcome.FAIL


def test_what_may_be_chance_is_inconclusive_and_not_a_fail(run: MadeUp, judged: Judged) -> None:
    def few(told: Told) -> None:
        told.outcome = "failed" if told.id.endswith("-01") else "ok"

    run.plan = msgspec.structs.replace(
        run.plan, objectives=tuple(msgspec.structs.replace(one, objective=0.96) for one in run.plan.objectives)
    )
    run.spoil(few, 25, 35)
    verdict = judged(run)
    one = next(one for one in verdict.objectives if one.id == "fault/purchase-success/all")
    assert one.outcome is Outcome.INCONCLUSIVE
    assert "too few events to tell" in one.reason
    assert (verdict.outcome, verdict.exit_status) == (Outcome.INCONCLUSIVE, 3)


def test_a_missed_baseline_makes_a_run_with_faults_inconclusive(run: MadeUp, judged: Judged) -> None:
    run.spoil(_failed, 6, 20)
    verdict = judged(run)
    assert (verdict.outcome, verdict.exit_status, verdict.valid) == (Outcome.INCONCLUSIVE, 3, False)
    assert "gate" in {check.name for check in verdict.validity if not check.ok}


def test_a_missed_baseline_fails_a_run_without_faults(run: MadeUp, judged: Judged) -> None:
    run.plan = msgspec.structs.replace(
        run.plan,
        faults=(),
        recovery=None,
        objectives=tuple(one for one in run.plan.objectives if one.phase == "baseline"),
    )
    run.faultlog = []
    run.spoil(_failed, 6, 20)
    verdict = judged(run)
    assert (verdict.outcome, verdict.exit_status) == (Outcome.FAIL, 1)


def test_declined_purchases_that_the_books_confirm_are_left_out(run: MadeUp, judged: Judged) -> None:
    def declined(told: Told) -> None:
        told.outcome = "declined"

    run.spoil(declined, 26, 30)
    verdict = judged(run)
    one = next(one for one in verdict.objectives if one.id == "fault/purchase-success/all")
    assert (one.outcome, one.valid, one.excluded, one.good) == (Outcome.PASS, 120, 80, 120)


def test_declined_purchases_that_the_books_do_not_know_are_bad(run: MadeUp, judged: Judged) -> None:
    def declined(told: Told) -> None:
        told.outcome, told.in_books = "declined", False

    run.spoil(declined, 26, 30)
    verdict = judged(run)
    one = next(one for one in verdict.objectives if one.id == "fault/purchase-success/all")
    assert (one.outcome, one.valid, one.excluded) == (Outcome.FAIL, 200, 0)


def test_declined_purchases_are_not_held_against_a_shop_whose_books_could_not_be_asked(
    run: MadeUp, judged: Judged
) -> None:
    def declined(told: Told) -> None:
        told.outcome = "declined"

    run.spoil(declined, 26, 30)
    run.books = False
    verdict = judged(run)
    one = next(one for one in verdict.objectives if one.id == "fault/purchase-success/all")
    assert one.outcome is Outcome.INCONCLUSIVE
    assert verdict.outcome is Outcome.INCONCLUSIVE


def test_dishonest_errors_fail_and_honest_ones_do_not(run: MadeUp, judged: Judged) -> None:
    def dishonest(told: Told) -> None:
        told.outcome, told.honest = "failed", False

    run.spoil(dishonest, 26, 26.5)
    verdict = judged(run)
    one = next(one for one in verdict.objectives if one.slo == "honest-errors")
    assert (one.outcome, one.good, one.valid) == (Outcome.FAIL, 0, 10)


def test_slow_answers_fail_a_latency_objective(run: MadeUp, judged: Judged) -> None:
    def slow(told: Told) -> None:
        told.latency_ms = 700.0

    run.plan = msgspec.structs.replace(run.plan, faults=(), recovery=None)
    run.spoil(slow, 10, 20)
    verdict = judged(run)
    one = next(one for one in verdict.objectives if one.slo == "checkout-latency")
    assert (one.outcome, one.good, one.valid) == (Outcome.FAIL, 200, 400)
    baseline = next(phase for phase in verdict.phases if phase.name == "baseline")
    assert (baseline.checkout_p50_ms, baseline.checkout_p99_ms) == (80.0, 700.0)


def test_a_lost_order_fails_with_a_witness_that_leads_to_the_logs(run: MadeUp, judged: Judged) -> None:
    run.intents[500].in_books = False
    verdict = judged(run)
    assert (verdict.outcome, verdict.exit_status, verdict.valid) == (Outcome.FAIL, 1, True)
    broken = verdict.invariants[0]
    assert (broken.violations, broken.examined) == (1, 1200)
    assert broken.witnesses[0].row == {"reference": "R-500", "id": "k25-00"}
    assert verdict.look_at[0] == "no-accepted-order-lost: begin with R-500 and look for it in logs/"


def test_a_lost_order_fails_even_a_run_that_does_not_count(run: MadeUp, judged: Judged) -> None:
    run.intents[500].in_books = False
    run.events.append(("clock-step", 30.0, {"by_s": 3600.0}))
    verdict = judged(run)
    assert (verdict.outcome, verdict.exit_status, verdict.valid) == (Outcome.FAIL, 1, False)
    assert all(one.outcome is Outcome.INCONCLUSIVE for one in verdict.objectives)


def test_ten_witnesses_at_most_are_shown_always_the_same(run: MadeUp, judged: Judged) -> None:
    def lost(told: Told) -> None:
        told.in_books = False

    run.spoil(lost, 26, 28)
    verdict = judged(run)
    assert verdict.invariants[0].violations == 40
    assert [witness.row["reference"] for witness in verdict.invariants[0].witnesses] == [
        f"R-{n}" for n in range(520, 530)
    ]


def test_books_that_were_not_read_prove_nothing(run: MadeUp, judged: Judged) -> None:
    run.books = False
    run.without_event("books-read")
    run.events.append(("books-read", 62.0, {"rows": {}, "errors": {"orders": "orders-db could not be read: gone"}}))
    verdict = judged(run)
    assert verdict.invariants[0].outcome is Outcome.INCONCLUSIVE
    assert verdict.invariants[0].reason == "no data: orders-db could not be read: gone"
    assert verdict.outcome is Outcome.INCONCLUSIVE


def test_books_of_which_nobody_says_that_they_were_read_to_their_end_prove_nothing(run: MadeUp, judged: Judged) -> None:
    run.without_event("books-read")
    verdict = judged(run)
    assert "the books were not read to their end" in verdict.invariants[0].reason
    assert verdict.outcome is Outcome.INCONCLUSIVE


def test_a_shop_that_does_not_come_to_rest_proves_nothing(run: MadeUp, judged: Judged) -> None:
    run.without_event("quiesced")
    run.events.append(("not-quiesced", 62.0, {"took_s": 30.0, "pending": {"orders": 3, "mails": None, "holds": 0}}))
    verdict = judged(run)
    assert verdict.invariants[0].outcome is Outcome.INCONCLUSIVE
    assert "did not come to rest (mails: no answer, orders: 3)" in verdict.invariants[0].reason


def test_too_many_unknown_ends_prove_nothing(run: MadeUp, judged: Judged) -> None:
    def unknown(told: Told) -> None:
        told.outcome, told.in_books = "unknown", False

    run.spoil(unknown, 40, 44)
    verdict = judged(run)
    assert verdict.invariants[0].outcome is Outcome.INCONCLUSIVE
    assert "6.66 % of the intents ended unknown, 5 % may" in verdict.invariants[0].reason


def test_unknown_ends_that_the_books_can_tell_are_unknown_no_more(run: MadeUp, judged: Judged) -> None:
    def unknown(told: Told) -> None:
        told.outcome = "unknown"

    run.spoil(unknown, 40, 44)
    verdict = judged(run)
    assert verdict.invariants[0].outcome is Outcome.PASS
    assert verdict.cost.purchases_lost == 0


def test_too_little_examined_proves_nothing(run: MadeUp, judged: Judged) -> None:
    invariant = msgspec.structs.replace(run.plan.truth.invariants[0], min_examined=5000)
    run.plan = msgspec.structs.replace(run.plan, truth=msgspec.structs.replace(run.plan.truth, invariants=(invariant,)))
    verdict = judged(run)
    assert verdict.invariants[0].reason == "only 1200 examined, 5000 are needed to prove anything"
    assert verdict.outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/proc/self/environ')",
        "SELECT nonsense FROM intents",
        "SELECT 1); COPY (SELECT 1) TO '/tmp/crashcart-evil.csv' (FORMAT csv); SELECT * FROM (SELECT 1 WHERE false",
    ],
)
def test_queries_that_come_with_a_recording_reach_nothing_else_and_never_pass(
    run: MadeUp, judged: Judged, sql: str
) -> None:
    invariant = msgspec.structs.replace(run.plan.truth.invariants[0], sql=sql)
    run.plan = msgspec.structs.replace(run.plan, truth=msgspec.structs.replace(run.plan.truth, invariants=(invariant,)))
    verdict = judged(run)
    assert verdict.invariants[0].outcome is Outcome.INCONCLUSIVE
    assert not Path("/tmp/crashcart-evil.csv").exists()


@pytest.mark.parametrize(
    ("query", "more"),
    [
        ("sql", "); COPY (SELECT 1) TO '{folder}/evil.csv' (FORMAT csv); FROM (SELECT 1"),
        ("sql", "; CREATE TABLE evil AS SELECT 1"),
        ("examined_sql", "; COPY (SELECT 1) TO '{folder}/evil.csv' (FORMAT csv); SELECT 9"),
        ("examined_sql", "; ATTACH '{folder}/evil.csv'; SELECT 9"),
        ("exclusions_sql", "); COPY (SELECT 1) TO '{folder}/evil.csv' (FORMAT csv); FROM (SELECT 1"),
        ("follow_up_sql", "); COPY (SELECT 1) TO '{folder}/evil.csv' (FORMAT csv); FROM (SELECT 1"),
        ("shared", "); COPY (SELECT 1) TO '{folder}/evil.csv' (FORMAT csv); FROM (SELECT 1"),
    ],
)
def test_a_query_that_comes_with_a_recording_is_one_and_writes_nothing_into_its_folder(
    run: MadeUp, judged: Judged, tmp_path: Path, query: str, more: str
) -> None:
    truth, first = run.plan.truth, run.plan.truth.invariants[0]
    hostile = f"{first.sql if query == 'sql' else 'SELECT 7'}{more.format(folder=tmp_path / 'run')}"
    if query.endswith("sql") and hasattr(first, query):
        changed = msgspec.structs.replace(truth, invariants=(msgspec.structs.replace(first, **{query: hostile}),))
    else:
        value = {"evil": hostile} if query == "shared" else hostile
        changed = msgspec.structs.replace(truth, **{query: value})
    run.plan = msgspec.structs.replace(run.plan, truth=changed)
    verdict = judged(run)
    assert (tmp_path / "run" / "plan.json").exists()
    assert not (tmp_path / "run" / "evil.csv").exists()
    if hasattr(first, query):
        assert verdict.invariants[0].outcome is Outcome.INCONCLUSIVE
        assert "one query" in verdict.invariants[0].reason or "syntax error" in verdict.invariants[0].reason


def test_a_recording_that_expects_nothing_is_no_pass(run: MadeUp, judged: Judged) -> None:
    truth = msgspec.structs.replace(run.plan.truth, invariants=())
    run.plan = msgspec.structs.replace(run.plan, objectives=(), recovery=None, truth=truth)
    verdict = judged(run)
    assert (verdict.outcome, verdict.reasons) == (Outcome.INCONCLUSIVE, ("nothing was expected of this run",))


def test_cpu_an_order_is_taken_from_the_baseline(run: MadeUp, judged: Judged) -> None:
    verdict = judged(run)
    assert verdict.cost.cpu_ms_per_order_by_process == {"checkout[0]": 10.0}
    assert verdict.cost.neighbours_busy_share == 0.15


def test_purchases_that_never_came_to_send_cost_an_average_order(run: MadeUp, judged: Judged) -> None:
    def blocked(told: Told) -> None:
        told.outcome = "blocked"

    run.spoil(blocked, 26, 26.5)
    verdict = judged(run)
    assert (verdict.cost.purchases_lost, verdict.cost.money_lost_cents) == (10, 10_000)


def test_a_front_door_that_thinks_better_of_itself_is_reported(run: MadeUp, judged: Judged) -> None:
    run.spoil(_failed, 26, 27)
    for status, per_s in (("2xx", 100.0), ("5xx", 0.0)):
        labels = f'{{"job":"storefront","operation":"order","service":"storefront","status_class":"{status}"}}'
        run.series += [SeriesSample("http_requests_total", labels, float(t), t * per_s) for t in range(62)]
    for outcome, per_s in (("ok", 80.0), ("error", 20.0)):
        labels = f'{{"cohort":"all","job":"load","outcome":"{outcome}","phase":"fault","sli":"browse"}}'
        run.series += [
            SeriesSample("shopper_events_total", labels, float(t), max(0, t - 25) * per_s) for t in range(36)
        ]
    verdict = judged(run)
    assert verdict.disagreements == (
        (
            "fault: storefront counts 100 % of its answers as good, "
            "shoppers 80 % of what they asked for, where asking again counts once"
        ),
    )
