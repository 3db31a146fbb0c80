"""`--hold PHASE`: what has to be different of an experiment so that one of its phases can go on."""

from __future__ import annotations

from crashcart.model.errors import UsageError
from crashcart.model.experiment import Experiment
from crashcart.model.hints import did_you_mean
from crashcart.model.holding import HOLDABLE, STEADY, Hold
from crashcart.model.units import Duration, format_duration


def hold_of(experiment: Experiment, phase: str) -> Hold:
    """The hold of an experiment as it is written. UsageError where it can't be held."""
    if phase not in HOLDABLE:
        raise UsageError(f"{phase!r} can't be held", remedy=did_you_mean(phase, HOLDABLE, "phases"))
    if experiment.load.profile != STEADY:
        what = f"the profile {experiment.load.profile!r} is drawn over the whole timeline: no phase of it can be held"
        raise UsageError(what, where=f"--hold {phase}", remedy=f"add --set load.profile={STEADY}")
    if not getattr(experiment.timeline, phase):
        raise UsageError(f"the experiment has no phase {phase!r} to hold", where=f"--hold {phase}")
    end_s = 0.0
    for name in ("warmup", *HOLDABLE):
        end_s += float(getattr(experiment.timeline, name))
        if name == phase:
            break
    return Hold(phase, round(end_s, 6))


def hold_overrides(experiment: Experiment, hold: Hold, at_most_s: float) -> tuple[str, ...]:
    """`path=value` that make the held phase as long as it may get; the faults that end last in it go on with it."""
    written: Duration = getattr(experiment.timeline, hold.phase)
    if at_most_s < written:
        what = f"the phase takes {format_duration(written)} as it is written"
        raise UsageError(what, where="--hold-at-most", remedy=f"at least {format_duration(written)}, such as 30m")
    overrides = [f"timeline.{hold.phase}={format_duration(at_most_s)}"]
    if hold.phase == "fault" and experiment.faults:
        last_s = max(fault.at + fault.duration for fault in experiment.faults)
        overrides += [
            f"faults.{index}.for={format_duration(at_most_s - fault.at)}"
            for index, fault in enumerate(experiment.faults)
            if fault.at + fault.duration == last_s
        ]
    return tuple(overrides)
