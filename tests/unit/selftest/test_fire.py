from __future__ import annotations

from crashcart.selftest.fire import FULL, KINDS, Fired, _in_turn, draw_strike, is_false_pass, report_on
from crashcart.selftest.striking import BOTH, KILL, STOP, TARGETS

LIVES = dict.fromkeys(TARGETS, (2.0, 12.0))


def _fired(target: str = "load", deed: str = KILL, **changed: object) -> Fired:
    told: dict[str, object] = {
        "line": "",
        "target": target,
        "deed": deed,
        "at_s": 4.0,
        "stopped_s": 0.0,
        "status": 3,
        "outcome": "inconclusive",
        "why_no_pass": "load was hit for good before the load had settled",
        "clean_after_s": 0.2,
        "left": (),
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
        ("harness", "stop", "2", "0", "1", "0", "inconclusive 1, interrupted 1", "0.2 s"),
        ("load", "kill", "2", "1", "0", "1", "inconclusive 1, pass 1", "0.2 s"),
    )
    assert report.found == ("2: it passed", "4: left")
    assert report.says[0] == "4 runs were hit, 1 were over before."
