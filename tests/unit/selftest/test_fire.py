from __future__ import annotations

from crashcart.selftest.fire import FULL, KINDS, _in_turn, draw_strike
from crashcart.selftest.fired import Fired, is_false_pass, line_of, report_on
from crashcart.selftest.striking import BOTH, KILL, STOP, TARGETS

LIVES = dict.fromkeys(TARGETS, (2.0, 12.0))


def _fired(target: str = "load", deed: str = KILL, **changed: object) -> Fired:
    told: dict[str, object] = {
        "line": "",
        "recording": "runs/1/tried/20260101T000000Z-5e1f",
        "target": target,
        "deed": deed,
        "at_s": 4.0,
        "stopped_s": 0.0,
        "status": 3,
        "outcome": "inconclusive",
        "why_no_pass": "load was hit for good before the load had settled",
        "clean_after_s": 0.2,
        "left": (),
        "not_looked_at": (),
        **changed,
    }
    return Fired(**told)  # type: ignore[arg-type]


def test_at_full_size_every_part_is_hit_in_every_way_a_dozen_times() -> None:
    drawn = [kind for _, kind in _in_turn(FULL)]
    assert {(target, deed) for target in TARGETS for deed in ("kill", "interrupt", "stop")} | {(BOTH, KILL)} == set(
        drawn
    )
    assert min(drawn.count(kind) for kind in KINDS) >= 12


def test_the_moment_is_the_same_for_the_same_seed_and_another_for_another_case() -> None:
    one = draw_strike(1, "001-kill-load", "load", KILL, LIVES)
    assert one == draw_strike(1, "001-kill-load", "load", KILL, LIVES)
    assert one.at_s != draw_strike(1, "017-kill-load", "load", KILL, LIVES).at_s
    assert one.at_s != draw_strike(2, "001-kill-load", "load", KILL, LIVES).at_s


def test_moments_are_spread_over_the_whole_life_of_the_part() -> None:
    drawn = [draw_strike(1, f"{number}", "load", STOP, LIVES) for number in range(400)]
    tenths = [int(strike.at_s - 2.0) for strike in drawn]
    assert all(20 <= tenths.count(tenth) <= 65 for tenth in range(10)), "40 are expected in each"
    assert all(1.0 <= strike.stopped_s <= 6.0 for strike in drawn)


def test_a_pass_by_verdict_or_by_exit_status_is_a_lie_where_there_must_be_none() -> None:
    assert is_false_pass(_fired(outcome="pass", status=0))
    assert is_false_pass(_fired(outcome="none", status=0))
    assert is_false_pass(_fired(outcome="pass", status=-9))
    assert not is_false_pass(_fired())
    assert not is_false_pass(_fired(outcome="pass", status=0, why_no_pass=""))


def test_the_table_has_a_row_for_each_kind_of_hit() -> None:
    report = report_on(
        {
            "1": _fired(),
            "2": _fired(outcome="pass", status=0, found=("2: it passed",)),
            "3": _fired(at_s=None, outcome="pass", status=0, why_no_pass=""),
            "4": _fired("harness", STOP, left=("process 7 (locust)",), clean_after_s=None, found=("4: left",)),
            "5": _fired("harness", STOP, status=130),
        }
    )
    assert report.rows == (
        ("harness", "stop", "2", "0", "1", "0", "0", "inconclusive 1, interrupted 1", "0.2 s"),
        ("load", "kill", "2", "1", "0", "0", "1", "inconclusive 1, pass 1", "0.2 s"),
    )
    assert report.found == ("2: it passed", "4: left")
    assert report.says[0] == "4 runs were hit, 1 were over before."


def test_a_run_of_which_nobody_could_look_what_it_left_is_not_clean_and_is_counted_apart() -> None:
    unseen = _fired(recording="", clean_after_s=None, not_looked_at=("nobody can tell whose that folder is",))
    report = report_on({"1": unseen, "2": _fired(recording="", clean_after_s=0.1)})
    row = dict(zip(report.head, report.rows[0], strict=True))
    assert (row["runs"], row["residue"], row["not looked at"], row["slowest clean-up"]) == ("2", "0", "1", "0.1 s")
    assert "Of 1 nobody could look whether they did." in report.says
    assert "2 were hit before there was a recording: what they left was looked for without one." in report.says
    assert line_of(unseen).endswith("nobody knows whether it is clean")


def test_where_nobody_was_seen_to_be_clean_no_time_is_told() -> None:
    unseen = _fired(clean_after_s=None, not_looked_at=("a record",))
    assert "0 left something behind; the slowest clean-up took –." in report_on({"1": unseen}).says
