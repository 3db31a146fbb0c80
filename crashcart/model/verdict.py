"""The verdict: what was expected, what was seen, and one word for each and for the run."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

VERDICT_FORMAT = "crashcart/verdict/v1"


class Outcome(StrEnum):
    """Three values. There is no "pass with warnings"."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


class ValidityCheck(msgspec.Struct, frozen=True):
    """One condition under which the run counts at all."""

    name: str
    """`load-delivered`, `lateness`, `evidence`, `scrapes`, `clock`, `harness-parts`, `proxies`, `gate`, …"""
    title: str
    ok: bool
    detail: str
    """What was measured against what, in a sentence with numbers."""
    remedy: str = ""


class ObjectiveResult(msgspec.Struct, frozen=True):
    """One cohort's objective in one phase. `observed` is None without valid events."""

    id: str
    slo: str
    title: str
    phase: str
    cohort: str
    objective: float
    outcome: Outcome
    reason: str
    good: int
    valid: int
    excluded: int
    observed: float | None
    margin: float | None
    """observed − objective."""
    p_value: float | None
    """Exact binomial, one-sided: so few good events had the objective been met. Corrected for the number of cohorts."""
    bad_allowed: float
    """valid × (1 − objective)."""


class EvidenceResult(msgspec.Struct, frozen=True):
    """What showed that a fault acted."""

    fault: str
    title: str
    ok: bool
    detail: str
    seen_share: float
    """Share of the probes during the fault that showed the effect, of the worst target."""
    outside_share: float
    """Share of the probes outside it that showed the effect all the same, of the worst target."""
    measured_ms: float | None
    """Median added latency during the fault, where the effect is one."""
    samples: int
    calls: int
    """Calls the clients tried on the fault's links while it was active."""
    min_calls: int


class Witness(msgspec.Struct, frozen=True):
    """One row that contradicts an invariant. References lead to the logs."""

    row: dict[str, Any]


class InvariantResult(msgspec.Struct, frozen=True):
    """What the books say."""

    name: str
    title: str
    outcome: Outcome
    reason: str
    examined: int
    min_examined: int
    violations: int
    witnesses: tuple[Witness, ...]
    """The smallest ones, at most 10."""


class RecoveryResult(msgspec.Struct, frozen=True):
    """Time from the end of the last fault to sustained health; None where it was never reached (right-censored)."""

    outcome: Outcome
    reason: str
    within_s: float
    recovered_after_s: float | None
    observed_for_s: float
    baseline_ratio: float | None
    """Goodput over offered in the baseline."""
    breached_after_s: float | None
    """From the start of the first fault until goodput first left its baseline band; None where it never did."""
    detected_after_s: float | None = None
    """From the start of the first fault until the shop's own alert fired; None where none did."""
    detected_by: str = ""
    """Name of that alert."""
    mitigated_after_s: float | None = None
    """From the start of the first fault until somebody or something ended its cause; None where that was never seen."""
    mitigated_by: str = ""
    """An operator's mark, or that the fault was taken back."""


class PhaseNumbers(msgspec.Struct, frozen=True):
    """What a phase looked like, for people."""

    name: str
    start_s: float
    end_s: float
    offered: int
    """Purchase intents planned in it."""
    ok: int
    failed: int
    """Sent, and definitely not done."""
    unknown: int
    declined: int
    sold_out: int
    checkout_p50_ms: float | None
    checkout_p99_ms: float | None
    blocked: int = 0
    """Never came to send: cart or pages failed before."""
    gave_up: int = 0
    """Left before sending, for slowness. `offered` is the sum of all seven ends."""


class LinkNumbers(msgspec.Struct, frozen=True):
    """What the clients of a link counted in one phase."""

    link: str
    phase: str
    calls: int
    """On the wire, tries of one call each for itself."""
    failed: int
    """Of these: errors, time-outs, refused."""
    short_circuited: int
    """Not on the wire: a breaker was open, or no connection was free."""
    retries: int
    p50_ms: float | None
    p99_ms: float | None
    """From the clients' histogram: the upper edge of the bucket; None without calls, or above its last edge."""


class FailedOrder(msgspec.Struct, frozen=True):
    """One purchase that somebody set out to make and that failed, and whether the shop wrote to them."""

    intent: str
    reference: str
    planned_s: float
    cohorts: dict[str, str]
    outcome: str
    problem: str
    total_cents: int | None
    told_after_s: float | None
    """From its failure to the follow-up; None where there was none."""


class FollowUp(msgspec.Struct, frozen=True):
    """Failed orders, and how many of the shoppers were written to."""

    failed: int
    told: int
    delay_p50_s: float | None
    delay_p99_s: float | None


class Cost(msgspec.Struct, frozen=True):
    """What was lost and what was spent."""

    purchases_lost: int
    """Intents that ended failed, blocked, gave_up or unknown-and-not-in-the-books."""
    money_lost_cents: int
    cpu_ms_per_order: float | None
    cpu_ms_per_order_by_process: dict[str, float]
    neighbours_busy_share: float | None
    """Share of the machine's CPU time that was used by processes that are not ours."""
    carts_abandoned: int = 0
    """Shoppers who had a cart, meant to buy, and left without: blocked before sending, or gone for slowness."""
    average_order_cents: int = 0
    """What a lost purchase was taken to be worth: the mean of those that came through, else the declared one."""


class Verdict(msgspec.Struct, frozen=True):
    """`verdict.json`: judged from the recording alone; judging again gives the same bytes."""

    format: str
    experiment: str
    title: str
    hypothesis: str
    run_id: str
    outcome: Outcome
    exit_status: int
    headline: str
    """One sentence for someone who reads nothing else."""
    reasons: tuple[str, ...]
    """The most important first; empty for a pass."""
    look_at: tuple[str, ...]
    """What to look at first: a cohort, an invariant's witness, a log."""
    ended: str
    valid: bool
    validity: tuple[ValidityCheck, ...]
    evidence: tuple[EvidenceResult, ...]
    objectives: tuple[ObjectiveResult, ...]
    recovery: RecoveryResult | None
    invariants: tuple[InvariantResult, ...]
    phases: tuple[PhaseNumbers, ...]
    cost: Cost
    disagreements: tuple[str, ...]
    """Where the shoppers' and the services' own counts differ."""
    crashcart_version: str
    links: tuple[LinkNumbers, ...] = ()
    follow_up: FollowUp | None = None
    """None where the project's books say nothing of follow-ups."""
    marks: tuple[tuple[float, str], ...] = ()
    """(seconds from t0, what an operator noted)."""
    saw: tuple[str, ...] = ()
    """What shoppers saw whose purchases came to nothing: the most common things, a line for each phase that had any."""
