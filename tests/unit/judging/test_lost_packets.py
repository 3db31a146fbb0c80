"""Packets are lost by chance: is the declared share told from half of it, and never taken for another one?

Each packet is drawn here. What is made of them is real: the fault's own observer, looking as often as a run does, and
the judge.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from random import Random

import msgspec
import pytest

from crashcart.faults import decode_settings, network_loss, registry
from crashcart.faults.network_loss import AGO_S, LostEchoes
from crashcart.judging.evidence import judge_evidence
from crashcart.judging.judge import judge
from crashcart.judging.looking import Glance, Samples
from crashcart.judging.shares import BY_CHANCE, Part, unlike
from crashcart.judging.windows import EDGE_S, Window
from crashcart.model.plan import Effect, PlannedFault
from crashcart.model.recording import ProbeSample
from crashcart.model.verdict import EvidenceResult
from crashcart.observing import EVERY_S
from crashcart.recorder.converting import convert
from crashcart.runtimes.echoes import WAIT_S, WINDOW_S
from tests.unit.judging.recordings import MadeUp
from tests.unit.judging.samples import MET, fault_of

BEGAN_S = 5.0
APART_S = 0.0055
"""Two hundred a second, on a machine that is a little late."""
RUNS = 40


class Drawn:
    """In place of `Echoes`: packets of which each is lost or not, with that chance while the fault is there."""

    def __init__(self, random: Random, chance: float, lasts_s: float) -> None:
        self.last_s = BEGAN_S + lasts_s + 5.0
        self._times = [number * APART_S for number in range(int(self.last_s / APART_S))]
        there = [BEGAN_S <= t <= BEGAN_S + lasts_s for t in self._times]
        self._lost = [0, *accumulate(one and random.random() < chance for one in there)]

    def lost(self, since_s: float, until_s: float) -> tuple[int, int]:
        first, end = bisect_right(self._times, since_s), bisect_right(self._times, until_s)
        return self._lost[end] - self._lost[first], end - first


def _fault(share: float, lasts_s: float) -> PlannedFault:
    kind = registry()["network/loss"]
    effect = kind.effect(decode_settings(kind, {"service": "b", "share": share}))
    return fault_of(effect, kind=kind.kind, watched=(), start_s=BEGAN_S, end_s=BEGAN_S + lasts_s)


def _judged(
    monkeypatch: pytest.MonkeyPatch, random: Random, share: float, chances: Sequence[float], lasts_s: float
) -> EvidenceResult:
    """Of one instance for each chance, all of which should lose `share`."""
    drawn = iter([Drawn(random, chance, lasts_s) for chance in chances])
    now = WAIT_S + WINDOW_S + random.uniform(0.0, EVERY_S)
    monkeypatch.setattr(network_loss, "Echoes", lambda address: next(drawn))
    monkeypatch.setattr("crashcart.faults.network_loss.time.monotonic", lambda: now)
    observer, glances = LostEchoes(["10.0.0.1"] * len(chances), share), []
    while now < BEGAN_S + lasts_s + 5.0:
        seen = observer.look()
        glances.append(Glance(now - seen.ago_s, seen.there, 1.0, seen.value, seen.note, seen.part, seen.whole))
        now += EVERY_S
    fault, window = _fault(share, lasts_s), Window(BEGAN_S, BEGAN_S + lasts_s, BEGAN_S + lasts_s)
    return judge_evidence(fault, {"f1": window}, (fault,), Samples({}, {"f1": glances}), MET)


def _shown(monkeypatch: pytest.MonkeyPatch, share: float, times: float, lasts_s: float) -> int:
    """In so many of `RUNS` runs; `times` as strong as declared."""
    random = Random(f"{share} {times} {lasts_s}")
    return sum(_judged(monkeypatch, random, share, [share * times], lasts_s).ok for _ in range(RUNS))


@pytest.mark.parametrize("share", [0.05, 0.1, 0.2, 0.4, 0.6, 0.9])
@pytest.mark.parametrize("lasts_s", [network_loss.FAULT.least_s, 20.0])
def test_half_of_the_declared_share_is_found_out_and_the_declared_one_is_shown(
    monkeypatch: pytest.MonkeyPatch, share: float, lasts_s: float
) -> None:
    assert _shown(monkeypatch, share, 0.5, lasts_s) <= RUNS * 0.1, "by chance it is one of twenty at the most"
    few = share < 0.1 and lasts_s < 10
    assert _shown(monkeypatch, share, 1.0, lasts_s) >= RUNS * (0.8 if few else 0.95)


@pytest.mark.parametrize(("share", "lasts_s"), [(0.1, 20.0), (0.2, 6.0), (0.4, 5.0), (0.6, 5.0)])
def test_half_as_much_again_as_was_declared_is_found_out(
    monkeypatch: pytest.MonkeyPatch, share: float, lasts_s: float
) -> None:
    assert _shown(monkeypatch, share, 1.5, lasts_s) == 0


def test_half_on_one_of_two_instances_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    random = Random(2)
    assert _judged(monkeypatch, random, 0.2, [0.2, 0.2], 8.0).ok
    assert not any(_judged(monkeypatch, random, 0.2, [0.2, 0.1], 8.0).ok for _ in range(RUNS))


def test_what_is_told_is_the_share_of_all_that_were_counted_each_of_them_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = _judged(monkeypatch, Random(1), 0.2, [0.2], 8.0)
    assert seen.ok, seen.detail
    counted = int(seen.detail.partition(" of ")[2].partition(" in all)")[0].rpartition(" of ")[2].rstrip(")"))
    assert counted == pytest.approx((8.0 - 2 * EDGE_S) / APART_S, abs=EVERY_S / APART_S)
    lie = _judged(monkeypatch, Random(1), 0.1, [0.05], 20.0)
    assert lie.detail.startswith("of what its observer counted it was "), "each look alone may well be chance"


@pytest.mark.parametrize(("part", "ok"), [(10, True), (5, False)], ids=["the share", "half of it"])
def test_a_recording_is_judged_by_what_its_observer_counted(run: MadeUp, tmp_path: Path, part: int, ok: bool) -> None:
    observed = msgspec.structs.replace(run.plan.faults[0], effect=Effect("observed", share=0.2), watched=())
    run.plan = msgspec.structs.replace(run.plan, faults=(observed,))
    run.finished = False
    folder = run.write(tmp_path / "run")
    looks = [_look(n / 4, part if 25 <= n / 4 <= 35 else 0) for n in range(240)]
    with (folder / "evidence.jsonl").open("ab") as file:
        file.writelines(msgspec.json.encode(one) + b"\n" for one in looks)
    convert(folder)
    assert (folder / "evidence.parquet").exists()
    seen = judge(folder).evidence[0]
    assert seen.ok is ok, seen.detail
    assert f"{part * 2} % (" in seen.detail


def _look(t: float, part: int) -> ProbeSample:
    return ProbeSample(t, "f1", "observed", ok=part > 0, ms=3.0, value=part / 50, part=part, whole=50)


def test_a_look_tells_of_no_moment_that_a_run_does_not_ask_for() -> None:
    assert AGO_S - WAIT_S <= EDGE_S


@pytest.mark.parametrize(
    ("part", "declared", "why"),
    [
        (Part(200, 1000), 0.2, ""),
        (Part(250, 1000), 0.2, ""),
        (Part(254, 1000), 0.2, "must be 20 %, but for chance"),
        (Part(148, 1000), 0.2, "must be 20 %, but for chance"),
        (Part(152, 1000), 0.2, ""),
        (Part(4, 20), 0.2, "that may be half of the declared 20 %: let the fault last longer"),
        (Part(0, 0), 0.2, "its observer counted nothing"),
        (Part(3, 2), 0.2, "its observer counted 3 of 2"),
    ],
)
def test_a_share_is_the_declared_one_where_chance_explains_it_and_half_of_it_does_not(
    part: Part, declared: float, why: str
) -> None:
    said = unlike(part, declared)
    assert (why in said) if why else said == ""


def test_the_bounds_are_those_of_the_exact_test() -> None:
    told = [n for n in range(1001) if not unlike(Part(n, 1000), 0.2)]
    chance = [1.0]
    for n in range(1000):  # P(n + 1) from P(n), in proportion
        chance.append(chance[-1] * (1000 - n) / (n + 1) * 0.25)
    whole = sum(chance)
    tails = (sum(chance[: told[0]]) / whole, sum(chance[told[-1] + 1 :]) / whole)
    assert all(tail < BY_CHANCE / 2 for tail in tails)
    assert sum(chance[: told[0] + 1]) / whole >= BY_CHANCE / 2
    assert sum(chance[told[-1] :]) / whole >= BY_CHANCE / 2
