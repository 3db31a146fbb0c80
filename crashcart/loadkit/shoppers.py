"""Who comes: every shopper's cohorts, and whether this one set out to buy, drawn at arrival."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate
from pathlib import Path
from random import Random

import msgspec

from crashcart.loadkit.streams import choose, key_for, stream
from crashcart.model.errors import BadFile, UsageError
from crashcart.model.hints import did_you_mean
from crashcart.model.load import LoadProgram, in_scenario

ALL = "all"
"""The cohort that everybody is in."""


class Shopper(msgspec.Struct, frozen=True):
    """One arrival."""

    number: int
    """From 0, in order of arrival."""
    arrival_s: float
    """When the schedule has them come, seconds from t0."""
    cohorts: Mapping[str, str]
    """Dimension → value: `{"network": "visa", …}`."""
    key: str | None
    """Idempotency key of the purchase they set out to make; None for one who will only look."""
    seed: int
    salt: str

    def stream(self, purpose: str) -> Random:
        """This shopper's random stream for one purpose."""
        return stream(self.seed, self.number, purpose)

    def key_for(self, what: str) -> str:
        """Idempotency key for another write of this shopper."""
        return key_for(self.salt, self.seed, self.number, what)

    @property
    def cohort_header(self) -> str:
        """`business_line:general,region:north,…`, as sent in X-Cohort."""
        return ",".join(f"{dimension}:{value}" for dimension, value in self.cohorts.items())


class Crowd:
    """Draws shoppers from the declared shares."""

    def __init__(self, program: LoadProgram, *, seed: int, salt: str) -> None:
        """`program` has been checked: each dimension's shares sum to 1."""
        self._purchase_share = program.purchase_share
        self._dimensions = [
            (dimension, tuple(shares), tuple(accumulate(shares.values())))
            for dimension, shares in program.cohorts.items()
        ]
        self._seed = seed
        self._salt = salt

    def draw(self, number: int, arrival_s: float) -> Shopper:
        """Shopper `number`; the same for the same seed, whoever else comes and goes."""
        random = stream(self._seed, number, "who")
        buys = random.random() < self._purchase_share
        cohorts = {name: values[choose(totals, random)] for name, values, totals in self._dimensions}
        key = key_for(self._salt, self._seed, number, "purchase") if buys else None
        return Shopper(number, arrival_s, cohorts, key, self._seed, self._salt)


def cohort_labels(cohorts: Mapping[str, Mapping[str, object]]) -> tuple[str, ...]:
    """Every label value that metrics carry: `all`, then `dimension:value` in the order of the file."""
    return (ALL, *(f"{dimension}:{value}" for dimension, shares in cohorts.items() for value in shares))


def read_program(path: Path, scenario: str = "") -> LoadProgram:
    """Read `load.yaml` as the load itself needs it, in one of its scenarios. BadFile says what is wrong."""
    try:
        program = msgspec.yaml.decode(path.read_bytes(), type=LoadProgram)
    except (OSError, msgspec.MsgspecError) as error:
        raise BadFile(str(error), file=path, line=None) from error
    if scenario and scenario not in program.scenarios:
        remedy = did_you_mean(scenario, program.scenarios, "scenarios")
        raise UsageError(f"there is no scenario {scenario!r}", where=str(path), remedy=remedy)
    program = in_scenario(program, scenario)
    if not 0 < program.purchase_share <= 1:
        raise BadFile(f"purchase_share is {program.purchase_share:g}", file=path, line=None, remedy="over 0, at most 1")
    for dimension, shares in program.cohorts.items():
        if abs(sum(shares.values()) - 1) > 1e-6 or min(shares.values(), default=0) < 0:
            raise BadFile(f"the shares of {dimension} do not sum to 1", file=path, line=None)
    return program
