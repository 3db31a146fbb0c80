"""What this run is: the harness's `load.json`, or the options of a Locust that was started by hand."""

from __future__ import annotations

from pathlib import Path

import msgspec

from crashcart.model.errors import BadFile, UsageError
from crashcart.model.hints import did_you_mean
from crashcart.model.plan import Phase
from crashcart.model.profiles import PROFILES, Profile

ASSIGNMENT_FORMAT = "crashcart/load/v1"

MAX_IN_FLIGHT = 3000
"""Sessions under way at once. Far above a healthy shop's few hundred; it bounds memory and sockets when the shop
hangs."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a run may change of the project's declaration."""

    mix: dict[str, object] = {}
    """Laid over `mix` of `load.yaml`, key by key."""
    key_salt: str = ""
    """Goes into every idempotency key, for runs against a shop that has seen this seed before."""
    max_in_flight: int = MAX_IN_FLIGHT


class Assignment(msgspec.Struct, frozen=True):
    """One run of the load."""

    format: str
    target: str
    """`http://127.0.0.1:PORT`, the shop's door."""
    control_address: str
    """`127.0.0.1:PORT`; empty: no control server."""
    out: str
    """Folder for intents, pace and summary."""
    phases: tuple[Phase, ...]
    profile: str
    peak_per_s: float
    """Purchase intents a second at the profile's peak."""
    seed: int
    settings: Settings = Settings()
    scenario: str = ""
    """One of the project's; empty: its usual mix of shoppers."""


def read_assignment(path: Path) -> Assignment:
    """Read `load.json`. BadFile says what is wrong with it."""
    try:
        assignment = msgspec.json.decode(path.read_bytes(), type=Assignment)
    except (OSError, msgspec.MsgspecError) as error:
        raise BadFile(str(error), file=path, line=None, remedy=f"this wants a {ASSIGNMENT_FORMAT} file") from error
    return checked(assignment)


def checked(assignment: Assignment) -> Assignment:
    """The assignment itself where it makes sense; UsageError where it does not."""
    if assignment.format != ASSIGNMENT_FORMAT:
        raise UsageError(f"unknown format {assignment.format!r}", remedy=f"this version reads {ASSIGNMENT_FORMAT}")
    if not assignment.target.startswith("http://"):
        raise UsageError(f"the target {assignment.target!r} is not http://HOST:PORT", remedy="give --host http://…")
    if not assignment.phases or assignment.phases[-1].end_s <= assignment.phases[0].start_s:
        raise UsageError("the timeline holds no time", remedy="give at least one phase that lasts")
    if assignment.peak_per_s <= 0:
        raise UsageError(f"peak_per_s is {assignment.peak_per_s:g}", remedy="it is purchase intents a second, over 0")
    profile_of(assignment)
    return assignment


def profile_of(assignment: Assignment) -> Profile:
    """The profile by its name; UsageError names those there are."""
    if assignment.profile not in PROFILES:
        remedy = did_you_mean(assignment.profile, PROFILES, "profiles")
        raise UsageError(f"there is no profile {assignment.profile!r}", remedy=remedy)
    return PROFILES[assignment.profile]


def phase_at(phases: tuple[Phase, ...], t_s: float) -> str:
    """Name of the phase that `t_s` lies in. What was meant for after the last phase still belongs to that one."""
    for phase in phases:
        if t_s < phase.end_s:
            return phase.name
    return phases[-1].name


def by_hand(
    *,
    target: str,
    out: str,
    profile: str,
    peak_per_s: float,
    seed: int,
    duration_s: float,
    settings: Settings,
    scenario: str = "",
) -> Assignment:
    """The assignment of a Locust that was started by hand: a tenth of the time to warm up, the rest is the run."""
    phases = (Phase("warmup", 0.0, duration_s / 10), Phase("run", duration_s / 10, duration_s))
    return checked(
        Assignment(
            format=ASSIGNMENT_FORMAT,
            target=target,
            control_address="",
            out=out,
            phases=phases,
            profile=profile,
            peak_per_s=peak_per_s,
            seed=seed,
            settings=settings,
            scenario=scenario,
        )
    )
