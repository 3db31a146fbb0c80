"""What the pages on judging show is what crashcart reads."""

from __future__ import annotations

import re
from pathlib import Path

from crashcart.judging.delivery import LATE_MS, LATE_SHARE, STARTED_SHARE
from crashcart.judging.evidence import EDGE_S, OUTSIDE_SHARE, SEEN_SHARE
from crashcart.judging.numbers import POISSON_SIGMAS, SIGNIFICANT
from crashcart.judging.recovery import WINDOW_EVENTS, WINDOW_S
from crashcart.loading.slos import read_slo
from crashcart.loading.truth import read_truth
from crashcart.model.recording import INTENT_COLUMNS

DOCS = Path(__file__).parents[3] / "docs"


def block(page: str, language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


def test_the_example_of_an_slo_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "checkout-latency.yaml"
    path.write_text(block("33-write-an-slo.md", "yaml"), encoding="utf-8")
    slo = read_slo(path, path.name, frozenset({"network:amex"}))
    assert slo.objectives == {"all": 0.95, "network:amex": 0.88}


def test_the_example_of_an_invariant_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "invariants").mkdir()
    (tmp_path / "invariants/mine.sql").write_text(block("32-write-an-invariant.md", "sql"), encoding="utf-8")
    head = "apiVersion: crashcart/v1\nkind: Books\nsources: {}\nquiesce: {within: 1s, zero: {}}\n"
    (tmp_path / "books.yaml").write_text(head, encoding="utf-8")
    invariant = read_truth(tmp_path, "stack/truth").invariants[0]
    assert (invariant.title, invariant.min_examined) == ("No order is left unfinished", 1)


def test_every_column_of_intents_is_told_of() -> None:
    page = (DOCS / "32-write-an-invariant.md").read_text(encoding="utf-8")
    assert [column for column in INTENT_COLUMNS if f"`{column}`" not in page] == []


def test_the_page_on_judging_tells_the_figures_that_are_judged_by() -> None:
    assert (LATE_MS, LATE_SHARE, STARTED_SHARE, POISSON_SIGMAS) == (50, 0.01, 0.99, 4)
    assert (EDGE_S, SEEN_SHARE, OUTSIDE_SHARE) == (0.5, 0.95, 0.05)
    assert (SIGNIFICANT, WINDOW_S, WINDOW_EVENTS) == (0.05, 3, 20)
    page = (DOCS / "20-how-a-run-is-judged.md").read_text(encoding="utf-8")
    for figure in (
        "more than 50 ms",
        "at most 1 %",
        "99 % of the scheduled",
        "4 standard deviations",
        "From 0.5 s",
        "at least 95 % of the probes",
        "at most 5 %",
        "Under 0.05",
        "at least 3 s *and* 20 purchases",
    ):
        assert figure in " ".join(page.split()), figure
