"""What a limit on processor time looks like: each period's share is used at its start, and looks fall anywhere."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from crashcart.faults import service_cpu_limit
from crashcart.faults.service_cpu_limit import Throttled
from crashcart.model.topology import Topology
from crashcart.observing import EVERY_S
from crashcart.ports import Observation
from crashcart.runtimes.cgroups import CpuCount

TOPOLOGY = Topology("run", "/state", "/project", (), (), "", "")
PERIOD_S = 0.1
Count = Callable[[float], CpuCount]


def _looks(monkeypatch: pytest.MonkeyPatch, limit: float, count: Count, first_s: float) -> list[Observation]:
    """Twenty, as often as a run looks, the first two left out: there is nothing to compare them with."""
    now = first_s
    monkeypatch.setattr("crashcart.faults.service_cpu_limit.time.monotonic", lambda: now)
    monkeypatch.setattr(service_cpu_limit, "pids_of", lambda *_: {1})
    monkeypatch.setattr(service_cpu_limit, "cpu_count", lambda _: count(now))
    observer, found = Throttled(TOPOLOGY, ["shop[0]"], limit), []
    for _ in range(20):
        found.append(observer.look())
        now += EVERY_S
    return found[2:]


def _under(limit: float) -> Count:
    """Busy without end: it uses its share at once, on one processor, and waits for the next period."""

    def count(now: float) -> CpuCount:
        periods, inside_s = divmod(now, PERIOD_S)
        return CpuCount((periods * limit * PERIOD_S) + min(inside_s, limit * PERIOD_S), int(periods))

    return count


@pytest.mark.parametrize("limit", [0.05, 0.1, 0.5])
@pytest.mark.parametrize("first_s", [100.0, 100.013, 100.049, 100.06, 100.099])
def test_at_whatever_moment_looks_fall_a_limit_that_is_in_force_is_seen_in_each(
    monkeypatch: pytest.MonkeyPatch, limit: float, first_s: float
) -> None:
    looks = _looks(monkeypatch, limit, _under(limit), first_s)
    assert [look for look in looks if not look.there] == []


@pytest.mark.parametrize("more", [1.5, 2.0, 10.0])
def test_a_limit_that_is_another_than_the_declared_one_is_not_taken_for_it(
    monkeypatch: pytest.MonkeyPatch, more: float
) -> None:
    looks = _looks(monkeypatch, 0.1, _under(0.1 * more), 100.013)
    assert not any(look.there for look in looks)


def test_who_is_not_held_back_is_not_limited_however_little_it_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = _looks(monkeypatch, 0.1, lambda now: CpuCount(now * 0.01, 7), 100.0)
    assert not any(look.there for look in looks)
    assert looks[0].note == "shop[0] was not held back"


def test_one_that_was_started_again_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    limited = _under(0.1)

    def count(now: float) -> CpuCount:
        return limited(now if now < 102.0 else now - 102.0)

    looks = _looks(monkeypatch, 0.1, count, 100.0)
    assert all(look.value is not None and look.value >= 0.0 for look in looks)
    assert looks[-1].there
