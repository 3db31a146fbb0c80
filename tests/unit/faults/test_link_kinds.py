"""Faults on links: what each says, what must be measured of it, and what it refuses."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec
import pytest

from crashcart.faults import decode_settings, registry
from crashcart.model.errors import UsageError
from crashcart.model.fault import Step
from crashcart.model.plan import Effect, PlannedFault
from crashcart.questions import LONG_BYTES
from crashcart.toxiproxy import ToxicSpec, validate_toxic
from tests.unit.faults.test_kinds import DESIGN, TOPOLOGY

PROXIES = ("door[0].shop[0]", "door[0].shop[1]")
UNREACHABLE = Effect("unreachable")

TOXICS: list[tuple[str, dict[str, Any], str, Effect, dict[str, int]]] = [
    ("timeout", {}, "door.shop answers nothing", UNREACHABLE, {"timeout": 0}),
    (
        "timeout",
        {"timeout": "500ms", "direction": "upstream"},
        "door.shop is told nothing and closes after 500ms",
        UNREACHABLE,
        {"timeout": 500},
    ),
    (
        "bandwidth",
        {"rate_kb_s": 32},
        "door.shop answers at 32 KB/s",
        Effect("throughput", at_most_kb_s=36.8, whole_answers=True),
        {"rate": 32},
    ),
    (
        "bandwidth",
        {"rate_kb_s": 16, "direction": "upstream"},
        "door.shop is asked at 16 KB/s",
        Effect("added-latency", at_least_ms=round(LONG_BYTES / 16 / 1.15, 3), whole_answers=True),
        {"rate": 16},
    ),
    (
        "bandwidth",
        {"rate_kb_s": 1, "direction": "upstream"},
        "door.shop is asked at 1 KB/s",
        Effect("added-latency", at_least_ms=1900, whole_answers=True),
        {"rate": 1},
    ),
    ("reset", {}, "door.shop resets its connections", UNREACHABLE, {"timeout": 0}),
    ("reset", {"after": "100ms"}, "door.shop resets its connections after 100ms", UNREACHABLE, {"timeout": 100}),
    (
        "slicer",
        {"size": 200, "variation": 50, "delay": "10ms"},
        "door.shop answers in pieces of 200 ± 50 bytes, 10ms apart",
        Effect("throughput", at_most_kb_s=35.0, whole_answers=True),
        {"average_size": 200, "size_variation": 50, "delay": 10_000},
    ),
    (
        "limit-data",
        {"bytes": 400},
        "door.shop breaks off after 400 bytes",
        Effect("cut-short", whole_answers=True, at_most_bytes=400),
        {"bytes": 400},
    ),
]


def _planned(kind: str, raw: dict[str, Any], targets: tuple[str, ...] = PROXIES, **more: Any) -> PlannedFault:
    return PlannedFault("f3", kind, raw, "", targets, targets, (), 0.0, 10.0, Effect("none"), **more)


@pytest.mark.parametrize(("toxic", "raw", "title", "effect", "attributes"), TOXICS)
def test_a_kind_says_what_it_does_what_must_be_measured_and_what_toxiproxy_is_told(
    toxic: str, raw: dict[str, Any], title: str, effect: Effect, attributes: dict[str, int]
) -> None:
    kind = registry()[f"toxiproxy/{toxic}"]
    raw = {"link": "door.shop", **raw}
    settings = decode_settings(kind, raw)
    assert kind.targets(settings, DESIGN) == kind.watched(settings, DESIGN) == PROXIES
    assert kind.links(settings, DESIGN) == ("door.shop",)
    assert (kind.title(settings), kind.effect(settings)) == (title, effect)
    steps = kind.steps(settings, _planned(kind.kind, raw), TOPOLOGY)
    assert [step.target for step in steps] == list(PROXIES)
    assert msgspec.json.decode(msgspec.json.encode(steps), type=tuple[Step, ...]) == steps
    assert steps[0].data == {
        "api": TOPOLOGY.toxiproxy_api,
        "toxic": "crashcart-f3",
        "stream": raw.get("direction", "downstream"),
        "attributes": attributes,
    }
    validate_toxic(ToxicSpec("t", toxic.replace("-", "_").replace("reset", "reset_peer"), attributes=attributes))


@pytest.mark.parametrize(
    ("toxic", "raw", "told"),
    [
        ("timeout", {"timeout": "61s"}, "1ms to 60s, or 0s for never"),
        ("timeout", {"timeout": "0.1ms"}, "1ms to 60s, or 0s for never"),
        ("timeout", {"direction": "sideways"}, "direction"),
        ("bandwidth", {}, "missing required field `rate_kb_s`"),
        ("bandwidth", {"rate_kb_s": 0}, "to stop the traffic use toxiproxy/timeout"),
        ("bandwidth", {"rate_kb_s": -5}, "1 to 1000"),
        ("bandwidth", {"rate_kb_s": 1001}, "1 to 1000"),
        ("bandwidth", {"rate_kb_s": 151, "direction": "upstream"}, "1 to 150"),
        ("bandwidth", {"rate_kb_s": 1.5}, "Expected `int`"),
        ("reset", {"after": "2s"}, "0s to 1s"),
        ("slicer", {"size": 0, "delay": "10ms"}, "variation less than size"),
        ("slicer", {"size": 10, "variation": 10, "delay": "10ms"}, "variation less than size"),
        ("slicer", {"size": 10, "variation": -1, "delay": "10ms"}, "variation less than size"),
        ("slicer", {"size": 1000, "variation": 100, "delay": "10ms"}, "at most 1024"),
        ("slicer", {"size": 100, "delay": "1ms"}, "2ms to 1s"),
        ("slicer", {"size": 100, "delay": "2s"}, "2ms to 1s"),
        ("limit-data", {"bytes": 0}, "to cut before the first byte use toxiproxy/reset"),
        ("limit-data", {"bytes": 1501}, "1 to 1500"),
        ("limit-data", {"link": "shop.stock", "bytes": 60_001}, "1 to 60000"),
        ("flaky", {"share": 0}, "more than 0, less than 1"),
        ("flaky", {"share": 1}, "more than 0, less than 1"),
        ("flaky", {"share": 0.3, "slice": "500ms"}, "1s to 60s"),
        ("flaky", {"share": 0.3, "how": "gently"}, "how"),
        ("flaky", {"link": "door.shpo", "share": 0.3}, 'did you mean "door.shop"'),
    ],
)
def test_what_can_not_be_done_or_shown_is_refused_with_what_would_be_right(
    toxic: str, raw: dict[str, Any], told: str
) -> None:
    kind = registry()[f"toxiproxy/{toxic}"]
    with pytest.raises(UsageError) as refused:
        kind.targets(decode_settings(kind, {"link": "door.shop", **raw}), DESIGN)
    assert told in str(refused.value)


def test_a_database_may_be_cut_off_after_more_bytes_than_a_service() -> None:
    kind = registry()["toxiproxy/limit-data"]
    settings = decode_settings(kind, {"link": "shop[1].stock", "bytes": 60_000})
    assert kind.targets(settings, DESIGN) == ("shop[1].stock[0]",)


FLAKY = registry()["toxiproxy/flaky"]


def _slices(share: float, slice_: str, lasts_s: float, fault_id: str = "f1", seed: int = 7) -> Any:
    settings = decode_settings(FLAKY, {"link": "door.shop", "share": share, "slice": slice_})
    return FLAKY.slices(settings, fault_id, seed, lasts_s)


@pytest.mark.parametrize(
    ("share", "slice_", "lasts_s", "down_s"), [(0.3, "1s", 20.0, 6.0), (0.5, "2s", 11.0, 4.0), (0.05, "1s", 20.0, 1.0)]
)
def test_a_flaky_link_is_down_for_exactly_its_share_of_whole_slices(
    share: float, slice_: str, lasts_s: float, down_s: float
) -> None:
    for seed in range(20):
        slices = _slices(share, slice_, lasts_s, seed=seed)
        assert sum(to_s - from_s for from_s, to_s in slices) == pytest.approx(down_s)
        assert all(0 <= from_s < to_s <= lasts_s for from_s, to_s in slices)
        assert all(earlier[1] < later[0] for earlier, later in pairwise(slices))


def test_a_schedule_depends_on_the_seed_and_the_fault_and_on_nothing_else() -> None:
    assert _slices(0.3, "1s", 20.0) == _slices(0.3, "1s", 20.0)
    assert _slices(0.3, "1s", 20.0) != _slices(0.3, "1s", 20.0, seed=8)
    assert _slices(0.3, "1s", 20.0) != _slices(0.3, "1s", 20.0, fault_id="f2")


@pytest.mark.parametrize(("share", "lasts_s"), [(0.1, 4.0), (0.9, 4.0), (0.5, 1.0)])
def test_a_fault_too_short_for_a_share_of_its_slices_is_refused(share: float, lasts_s: float) -> None:
    with pytest.raises(UsageError) as refused:
        _slices(share, "1s", lasts_s)
    assert "a longer fault, shorter slices, or another share" in str(refused.value)


def test_a_flaky_links_steps_hold_the_whole_schedule() -> None:
    raw = {"link": "door.shop", "share": 0.3, "how": "timeout"}
    settings = decode_settings(FLAKY, raw)
    steps = FLAKY.steps(settings, _planned(FLAKY.kind, raw, slices=((1.0, 2.0), (4.0, 6.0))), TOPOLOGY)
    assert FLAKY.title(settings) == "door.shop answers nothing 30% of the time, in slices of 1s"
    assert FLAKY.effect(settings) == UNREACHABLE
    assert steps[0].data["slices"] == [[1.0, 2.0], [4.0, 6.0]]
    assert msgspec.json.decode(msgspec.json.encode(steps), type=tuple[Step, ...]) == steps
