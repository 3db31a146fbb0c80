"""Every SLO's alerts, by promtool: each fires at the burn that it should, is quiet under it, and minds both windows.

The cases are made of the OpenSLO files (`burning.py`), so that a new SLO has its own by being there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from crashcart.burnrates import rules_text
from crashcart.loading import open_project
from crashcart.model.slo import Slo, parse_selector
from crashcart.tools import Tool, make_promtool
from tests.contract.rules.burning import TABLE, Counter, counters_of, files
from tests.contract.rules.test_rules import ROOT, RULES, run

TINY = ROOT / "tests" / "projects" / "tiny"
COUNTED = [slo for slo in open_project(ROOT).slos.values() if slo.told_within_s is None]
OTHERS = [slo for slo in open_project(TINY).slos.values() if slo.told_within_s is None]
HARD = next(slo for slo in COUNTED if slo.name == "purchase-success")
"""It leaves events out, and what it divides by is not its total."""


@pytest.fixture(scope="session")
def promtool() -> Tool:
    return make_promtool(print)


def amiss(promtool: Tool, cases: Sequence[Path]) -> str:
    """What promtool says is wrong; empty where nothing is."""
    done = run(promtool, "test", "rules", *(path.name for path in cases), folder=cases[0].parent)
    assert (done.returncode, "FAILED" in done.stdout + done.stderr) in ((0, False), (1, True)), done.stderr
    return (done.stdout + done.stderr)[:2_000] if done.returncode else ""


def test_every_slo_that_prometheus_counts_has_rules() -> None:
    assert {slo.name for slo in COUNTED} == {path.stem for path in RULES.glob("*.yaml")}
    assert len(COUNTED) >= 8


@pytest.mark.parametrize("slo", COUNTED, ids=lambda slo: slo.name)
def test_each_alert_fires_over_its_threshold_in_both_windows_and_is_quiet_else(
    promtool: Tool, tmp_path: Path, slo: Slo
) -> None:
    assert amiss(promtool, files(slo, RULES / f"{slo.name}.yaml", tmp_path)) == ""


@pytest.mark.parametrize("slo", OTHERS, ids=lambda slo: slo.name)
def test_so_do_those_of_another_project(promtool: Tool, tmp_path: Path, slo: Slo) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(rules_text(slo), encoding="utf-8")
    assert amiss(promtool, files(slo, rules, tmp_path)) == ""


def _alterations() -> Iterator[tuple[str, str, str, str]]:
    """A name, what stands in the rules, what stands there instead, and the cases that must tell."""
    for row, short in zip(TABLE, ("5m", "30m", "2h", "6h"), strict=True):
        windows, burn = f"windows-{row.long}", re.escape(f"({row.factor} *")
        for factor in (1.1, 0.9):
            yield f"{factor} of burn {row.factor}", burn, f"({float(row.factor) * factor:g} *", "thresholds"
        yield (
            f"either window of burn {row.factor}",
            rf"\n( +)and (.*ratio_rate{short}\{{.*{burn})",
            r"\n\1or \2",
            windows,
        )
        for window in (row.long, short):
            count, unit = int(window[:-1]), {"m": 60, "h": 3600, "d": 86400}[window[-1]]
            for factor in (2, 0.5):
                recorded = rf"(record: slo:sli_error:ratio_rate{window}\n.*)"
                wrong = rf"\1[{round(count * unit * factor)}s]"
                yield f"{factor} × {window} for burn {row.factor}", rf"{recorded}\[{window}\]", wrong, windows
    left_out = r" - sum by \(cohort\) \(rate\(shopper_events_total\{[^}]*outcome=~[^)]*\)\)"
    yield "nothing is left out", left_out, "", "thresholds"
    yield "another budget for a cohort", r"vector\(0.05\)", "vector(0.06)", "thresholds"
    yield "a page that is a ticket", "severity: page", "severity: ticket", "thresholds"


@pytest.mark.parametrize(
    ("pattern", "instead", "told_by"), [pytest.param(*how, id=name) for name, *how in _alterations()]
)
def test_rules_that_are_wrong_are_told_by_their_cases(
    promtool: Tool, tmp_path: Path, pattern: str, instead: str, told_by: str
) -> None:
    right, wrong = (RULES / f"{HARD.name}.yaml").read_text(encoding="utf-8"), tmp_path / "rules.yaml"
    wrong.write_text(_everywhere(pattern, instead, right), encoding="utf-8")
    [cases] = [path for path in files(HARD, wrong, tmp_path) if path.stem.endswith(told_by)]
    assert "exp:" in amiss(promtool, [cases])


def _everywhere(pattern: str, instead: str, text: str) -> str:
    """Put in until it stands nowhere, which it must have somewhere."""
    assert re.search(pattern, text), pattern
    while re.search(pattern, text):
        text = re.sub(pattern, instead, text)
    return text


def test_a_threshold_that_could_never_be_reached_is_told(promtool: Tool, tmp_path: Path) -> None:
    [slo] = [one for one in COUNTED if one.name == "checkout-latency"]
    assert any(14.4 * (1 - objective) > 1 for objective in slo.objectives.values())
    right, wrong = (RULES / f"{slo.name}.yaml").read_text(encoding="utf-8"), tmp_path / "rules.yaml"
    wrong.write_text(_everywhere(r", 0\.9\)", ", 2)", right), encoding="utf-8")
    assert "exp:" in amiss(promtool, files(slo, wrong, tmp_path)[:1])


def test_what_an_event_looks_like_is_found_out_for_selectors_of_any_kind() -> None:
    good, total = parse_selector('hits_total{code!~"(5..|429)",at="shop"}'), parse_selector('hits_total{at="shop"}')
    found = counters_of(Slo("hits", "", "shop", good, total, {"all": 0.9}))
    assert found.good == Counter("hits_total", (("code", "another"), ("at", "shop")))
    assert dict(found.rest.labels) == {"code": "5..", "at": "shop"}
    assert not found.rest_is_all


def test_an_slo_that_no_event_can_miss_is_told() -> None:
    everything = parse_selector("hits_total")
    with pytest.raises(AssertionError, match="hits: no event is bad"):
        counters_of(Slo("hits", "", "shop", everything, everything, {"all": 0.9}))
