"""Runs of varied size and content, drawn by Hypothesis: cohorts, phases, ends of purchases, faults with their evidence,
scrapes that were missed. Most of them count; some pass, some fail, some prove nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st

from crashcart.model.plan import Effect, Phase, Plan, PlannedFault, PlannedObjective, PlannedRecovery
from crashcart.model.slo import Slo
from crashcart.model.truth import Invariant
from tests.unit.judging.planned import DOWN, PROXY, SHARE, SLOS, TRUTH, objective, plan
from tests.unit.judging.recordings import MadeUp, Told, healthy

NETWORKS = (("visa",), ("visa", "amex"), ("visa", "visa", "visa", "amex"), ("amex", "visa", "giro", "visa"))
REGIONS = ("north", "south")
EFFECTS = {
    "unreachable": Effect("unreachable"),
    "added-latency": Effect("added-latency", at_least_ms=270.0),
    "instance-down": Effect("instance-down"),
    "none": Effect("none", at_least_ms=20.0),
    "observed": Effect("observed"),
}
SLOW_MS = 703.0
ENDS = ("failed", "dishonest", "unknown", "blocked", "gave_up", "slow", "declined", "sold_out", "lied")
"""How a purchase may end instead of well; `lied`: declined, and the books know nothing of it."""
TWICE = Invariant(
    "no-order-twice",
    "No order is booked twice",
    "",
    "SELECT key, count(*) AS times, to_timestamp(1e9) AS at FROM orders GROUP BY key HAVING count(*) > 1",
    "SELECT count(*) FROM orders",
)


def whole_runs(usually: int) -> settings:
    """So many examples, each of which is written down and judged; twenty times as many where one looks thoroughly."""
    thorough = settings.get_current_profile_name() == "thorough"
    return settings(max_examples=usually * (20 if thorough else 1), deadline=None)


@dataclass(frozen=True)
class Spell:
    """For some time each `every`-th purchase, of one network or of all, ends otherwise."""

    phase: str
    from_tenth: int
    to_tenth: int
    every: int
    network: str
    end: str


@dataclass(frozen=True)
class Recipe:
    """All that a made-up run is made from."""

    per_s: int
    lasts_s: tuple[int, int, int, int]
    networks: tuple[str, ...]
    """One purchase after the other."""
    regions: bool
    effects: tuple[str, ...]
    wanted: float
    min_events: int
    spells: tuple[Spell, ...]
    missed: tuple[int, ...] = ()
    """Seconds, from the start, in which no scrape came through."""
    crowded: tuple[str, ...] | None = None
    """Phases in which others fill the machine; None: nobody looked."""


CALM = Recipe(9, (2, 8, 11, 14), ("visa", "visa", "amex"), True, ("added-latency",), 0.8, 10, ())
"""Nothing goes wrong in it."""
spells = st.builds(
    lambda phase, ends, every, network, end: Spell(phase, min(ends), max(ends) + 1, every, network, end),
    st.sampled_from(("baseline", "fault", "fault", "fault", "recovery")),
    st.tuples(st.integers(0, 9), st.integers(0, 9)),
    st.sampled_from((1, 2, 3, 7, 20, 20)),
    st.sampled_from(("", "", "visa", "amex", "giro")),
    st.sampled_from(ENDS),
)
recipes = st.builds(
    Recipe,
    per_s=st.integers(8, 12),
    lasts_s=st.tuples(st.integers(1, 3), st.integers(6, 10), st.integers(10, 13), st.integers(13, 17)),
    networks=st.sampled_from(NETWORKS),
    regions=st.booleans(),
    effects=st.one_of(
        st.sampled_from(tuple(EFFECTS)).map(lambda one: (one,)),
        st.permutations(tuple(EFFECTS)).map(lambda all_: tuple(all_[:2])),
    ),
    wanted=st.sampled_from((0.5, 0.8, 0.9, 0.95)),
    min_events=st.sampled_from((5, 10, 20)),
    spells=st.lists(spells, min_size=1, max_size=4).map(tuple),
    missed=st.lists(st.integers(5, 25), max_size=2).map(tuple),
    crowded=st.sampled_from((None, (), (), ("fault",), ("recovery",), ("fault", "recovery"))),
)


def made(recipe: Recipe) -> MadeUp:
    """The run, before anything else befalls it."""
    run = healthy()
    run.plan = planned(recipe)
    end_s, warm_s = run.end_s, recipe.lasts_s[0]
    sessions = round(recipe.per_s / SHARE)
    run.pace = dict.fromkeys(range(end_s), (sessions, sessions))
    run.intents = [_told(recipe, number) for number in range(end_s * recipe.per_s)]
    run.probed_from_s = warm_s
    run.sees = lambda t, side: seen(run.plan.faults, t, side)
    run.events = [*_events(run.plan), *_looks_at_the_machine(run.plan, recipe.crowded)]
    run.faultlog = [
        msgspec.structs.replace(record, fault=fault.id) for fault in run.plan.faults for record in run.faultlog
    ]
    run.unscraped, run.thin = recipe.missed, True
    for spell in recipe.spells:
        befall(run, spell)
    return run


def planned(recipe: Recipe) -> Plan:
    phases: list[Phase] = []
    for name, lasts_s in zip(("warmup", "baseline", "fault", "recovery"), recipe.lasts_s, strict=True):
        start_s = phases[-1].end_s if phases else 0.0
        phases.append(Phase(name, start_s, start_s + lasts_s, lasts_s * recipe.per_s, lasts_s * recipe.per_s / SHARE))
    cohorts = {"network": _shares(recipe.networks), **({"region": _shares(REGIONS)} if recipe.regions else {})}
    names = ("all", *(f"{dimension}:{value}" for dimension, values in cohorts.items() for value in values))
    faults = _faults(recipe, phases[2])
    truth = msgspec.structs.replace(TRUTH, invariants=(*TRUTH.invariants, TWICE))
    usual = plan()
    return plan(
        peak_per_s=float(recipe.per_s),
        load=msgspec.structs.replace(usual.load, cohorts=cohorts),
        phases=tuple(phases),
        faults=faults,
        slos=tuple(_for_cohorts(slo, names, recipe.wanted) for slo in SLOS),
        objectives=tuple(_objectives(recipe, names)),
        recovery=PlannedRecovery(10.0, 10.0, faults[-1].end_s, ("purchase-success", "checkout-latency")),
        truth=truth,
    )


def _for_cohorts(slo: Slo, names: tuple[str, ...], wanted: float) -> Slo:
    return msgspec.structs.replace(slo, objectives={name: lessened(wanted, name) for name in names})


def lessened(wanted: float, cohort: str) -> float:
    """Of a cohort a little less is expected than of all."""
    return wanted if cohort == "all" else round(wanted - 0.1, 2)


def _objectives(recipe: Recipe, names: tuple[str, ...]) -> list[PlannedObjective]:
    found = [
        objective(phase, slo, cohort, lessened(recipe.wanted, cohort), recipe.min_events)
        for phase in ("baseline", "fault")
        for slo in ("purchase-success", "checkout-latency")
        for cohort in names
    ]
    return [*found, *(objective("fault", "honest-errors", cohort, 0.9, 0) for cohort in names)]


def _shares(values: tuple[str, ...]) -> dict[str, float]:
    return {value: n / len(values) for value, n in Counter(values).items()}


def _faults(recipe: Recipe, phase: Phase) -> tuple[PlannedFault, ...]:
    """One for the whole phase, or two, one after the other."""
    half_s = (phase.end_s - phase.start_s - 1) // 2
    spans = [(phase.start_s, phase.end_s), (phase.start_s, phase.start_s + half_s)][len(recipe.effects) - 1 :][:1]
    spans += [(phase.end_s - half_s, phase.end_s)] if len(recipe.effects) > 1 else []
    return tuple(
        msgspec.structs.replace(
            DOWN,
            id=f"f{number}",
            watched=() if effect == "observed" else (PROXY,),
            start_s=start_s,
            end_s=end_s,
            effect=EFFECTS[effect],
        )
        for number, (effect, (start_s, end_s)) in enumerate(zip(recipe.effects, spans, strict=True), start=1)
    )


def seen(faults: tuple[PlannedFault, ...], t: float, side: str) -> tuple[bool, float]:
    """What a probe meets: (whether it came through, milliseconds)."""
    effect = next((fault.effect.measure for fault in faults if fault.start_s <= t <= fault.end_s), "none")
    if effect == "instance-down" or (effect == "unreachable" and side == "through"):
        return False, 1.0
    return True, 306.0 if effect == "added-latency" and side == "through" else 5.0


def _told(recipe: Recipe, number: int) -> Told:
    network = recipe.networks[number % len(recipe.networks)]
    region = REGIONS[number // len(recipe.networks) % 2] if recipe.regions else ""
    t = number / recipe.per_s
    return Told(f"k{number:04}", t, network, total_cents=1000 + number * 37 % 900, region=region)


def _events(planned: Plan) -> list[tuple[str, float, dict[str, object]]]:
    end_s, fault_s = planned.duration_s, planned.phase("fault").start_s
    cpu: dict[str, object] = {"at": "baseline", "process_cpu_s": {"checkout[0]": 1.0}, "busy_s": 10.0, "cores": 2}
    after: dict[str, object] = {"at": "fault", "process_cpu_s": {"checkout[0]": 5.0}, "busy_s": 20.0, "cores": 2}
    noted: list[tuple[str, float, dict[str, object]]] = [
        ("load-started", 0.0, {"t0_wall": 0.0, "t0_mono": 0.0}),
        ("cpu", planned.phase("baseline").start_s, cpu),
        ("gate", fault_s, {"passed": True, "results": []}),
        ("cpu", fault_s, after),
    ]
    for fault in planned.faults:
        noted.append(("fault-injected", fault.start_s + 0.05, {"fault": fault.id, "took_s": 0.01}))
        noted.append(("fault-undone", fault.end_s + 0.05, {"fault": fault.id, "took_s": 0.01}))
    return [
        *noted,
        ("load-settled", end_s + 1.0, {"in_flight": 0}),
        ("quiesced", end_s + 1.5, {"took_s": 0.3, "pending": {}}),
        ("books-read", end_s + 2.0, {"rows": {"orders": 1}, "errors": {}}),
        ("stopped", end_s + 3.0, {"took_s": 1.0}),
    ]


def _looks_at_the_machine(
    planned: Plan, crowded: tuple[str, ...] | None
) -> Iterator[tuple[str, float, dict[str, Any]]]:
    """Two cores, looked at every second: half of them are busy with the run, or all of them, the half with others."""
    busy_s = own_s = 100.0
    for phase in planned.phases if crowded is not None else ():
        for second in range(int(phase.start_s), int(phase.end_s)):
            yield "machine", float(second), {"busy_s": busy_s, "own_s": own_s, "cores": 2}
            busy_s += 2.0 if phase.name in (crowded or ()) else 1.0
            own_s += 1.0


def befall(run: MadeUp, spell: Spell) -> None:
    phase = run.plan.phase(spell.phase)
    tenth_s = phase.duration_s / 10
    from_s, to_s = phase.start_s + spell.from_tenth * tenth_s, phase.start_s + spell.to_tenth * tenth_s
    met = [one for one in run.intents if from_s <= one.planned_s < to_s and spell.network in ("", one.network)]
    for one in met[:: spell.every]:
        end(one, spell.end)


def end(one: Told, how: str) -> None:
    """One purchase ends so."""
    one.outcome = {"dishonest": "failed", "slow": "ok", "lied": "declined"}.get(how, how)
    one.honest = how not in ("dishonest", "unknown")
    one.in_books = how != "lied"
    one.latency_ms = SLOW_MS if how == "slow" else 80.0
    one.status = {"failed": 503, "dishonest": 500, "blocked": 502}.get(how, 201)
    one.saw = "" if one.outcome == "ok" else f"order {one.id} did not come through: {one.total_cents % 3}"
