"""Who died during a run: by itself, of a fault, or because somebody else took it away."""

from __future__ import annotations

from crashcart.judging.tape import Tape
from crashcart.model.recording import Event
from crashcart.model.verdict import ValidityCheck

PARTS = ("toxiproxy", "prometheus", "load", "watchdog", "harness")


def part_of(event: Event) -> str:
    """Who died, hung or was started again."""
    return str(event.data.get("part", "?"))


def is_of_shop(event: Event) -> bool:
    """Whether it tells of an instance of the shop, and not of a part of the harness."""
    return part_of(event).partition("[")[0] not in PARTS


def was_removed(event: Event) -> bool:
    """Whether who died was taken away by somebody else."""
    return bool(event.data.get("removed"))


def removed_words(event: Event) -> str:
    """What is said of such a one."""
    return f"the container of {part_of(event)} was removed from the engine by somebody else at {event.t:.0f} s"


def removals(tape: Tape) -> tuple[Event, ...]:
    """Of parts of the shop, by somebody else: whatever a fault meant to do to them, it was not that."""
    return tuple(event for event in tape.named("died") if is_of_shop(event) and was_removed(event))


def own_deaths(tape: Tape) -> tuple[tuple[str, float], ...]:
    """(instance of the shop, when) where no fault was aimed at it, and nobody took it away."""
    targets = {target for fault in tape.plan.faults for target in fault.targets}
    died = (event for event in tape.named("died") if is_of_shop(event) and not was_removed(event))
    return tuple((part_of(event), event.t) for event in died if part_of(event) not in targets)


def shop_parts(tape: Tape) -> ValidityCheck:
    """Who of the shop died by itself. That is a failing of the shop and not of the run, which counts all the same.

    It does not where somebody else took a part of the shop away.
    """
    title = "nobody else took a part of the shop away"
    if taken := "; ".join(removed_words(event) for event in removals(tape)):
        return ValidityCheck("shop-parts", title, False, f"{taken}: that is not the shop's failing")
    died = "; ".join(f"{part} died by itself at {at_s:.0f} s" for part, at_s in own_deaths(tape))
    told = f"{died}: that is the shop's failing, and the run counts" if died else "nor did anybody of it die by itself"
    return ValidityCheck("shop-parts", title, True, told)
