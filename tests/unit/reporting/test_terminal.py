from __future__ import annotations

import io
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from crashcart.model.verdict import Outcome, Verdict
from crashcart.reporting.terminal import render_verdict
from tests.unit.reporting.conftest import Made
from tests.unit.reporting.stories import HOSTILE

REPORT = Path("runs/a name with spaces/20261122T080000Z/report.html")


def render(verdict: Verdict, *, width: int = 120, report: Path | None = REPORT, colours: bool = False) -> list[str]:
    out = io.StringIO()
    render_verdict(verdict, Console(file=out, width=width, force_terminal=colours), report=report)
    return out.getvalue().splitlines()


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_last_lines_are_the_word_with_its_headline_and_the_status_with_the_report(failed: Made, width: int) -> None:
    word, ending = render(failed.verdict, width=width)[-2:]
    assert word == f"✗ FAIL  {failed.verdict.headline}"
    assert ending == f"exit status 1 · report {REPORT}"


def test_each_outcome_has_its_own_word(passed: Made, failed: Made, unsure: Made) -> None:
    said = [render(made.verdict)[-2].split("  ")[0] for made in (passed, failed, unsure)]
    assert said == ["✓ PASS", "✗ FAIL", "? INCONCLUSIVE"]


def test_a_failing_cohort_is_shown_with_its_numbers(failed: Made) -> None:
    line = next(line for line in render(failed.verdict) if "network: amex" in line)
    assert "✗" in line
    assert "2.94" in line
    assert "1 / 34" in line


def test_a_pass_shows_the_worst_cohort_and_all_shoppers_alone(passed: Made) -> None:
    shown = [line for line in render(passed.verdict) if "purchase-success" in line]
    assert len(shown) == 2  # baseline and fault
    assert "network: visa" in shown[1]
    assert not any("network: amex" in line for line in render(passed.verdict))


def test_witnesses_are_shown_under_the_invariant_that_they_break(failed: Made) -> None:
    lines = render(failed.verdict)
    law = next(i for i, line in enumerate(lines) if "Nobody is charged twice" in line)
    assert "R-0000001234" in "".join(lines[law : law + 4])


def test_what_made_a_run_not_count_is_said_with_its_remedy(unsure: Made) -> None:
    assert any("F1 was not seen. Check the link." in line for line in render(unsure.verdict))


def test_text_from_the_shop_is_shown_and_not_obeyed(failed: Made) -> None:
    hostile = "[bold red]" + HOSTILE + "[/nope]"
    verdict = msgspec.structs.replace(
        failed.verdict, headline=hostile, look_at=(hostile,), reasons=(hostile,), saw=(hostile * 99,)
    )
    shown = "\n".join(render(verdict))
    assert 4 <= shown.count("[bold red]") < 30
    assert "\x1b" not in shown


def test_without_a_terminal_there_are_no_colours_and_with_one_there_are(failed: Made) -> None:
    assert "\x1b" not in "".join(render(failed.verdict))
    assert "\x1b" in "".join(render(failed.verdict, colours=True))


def test_an_empty_verdict_still_ends_in_its_two_lines(passed: Made) -> None:
    bare = msgspec.structs.replace(
        passed.verdict,
        outcome=Outcome.INCONCLUSIVE,
        exit_status=130,
        phases=(),
        objectives=(),
        recovery=None,
        invariants=(),
        evidence=(),
        validity=(),
    )
    assert render(bare, report=None)[-1] == "exit status 130"


def test_recovery_is_taken_apart_in_one_line_and_what_was_noted_stands_below(failed: Made) -> None:
    lines = [line.strip().replace("\u00a0", " ") for line in render(failed.verdict)]
    parts = "felt after 0.5 s, alert after 5.3 s (PaymentsFailing), mitigated after 20 s"
    at = lines.index(parts)
    assert lines[at + 1] == "41.5 s: processor's support called, no answer"


def test_what_was_lost_and_who_was_told_is_said(failed: Made) -> None:
    text = " ".join(" ".join(render(failed.verdict)).replace("\u00a0", " ").split())
    assert "198 purchases lost, worth 8,910.00, 19 carts abandoned" in text
    assert "170 of 181 (93.92 %) were written to, half of them within 2.1 s, 99 % within 6.8 s." in text


def test_a_pass_fits_on_a_screen(passed: Made) -> None:
    assert len(render(passed.verdict)) <= 40


def test_reports_that_could_not_be_written_are_named_and_not_pointed_to(failed: Made) -> None:
    out = io.StringIO()
    render_verdict(failed.verdict, Console(file=out, width=200), report=REPORT, unwritten=("report.html", "junit.xml"))
    lines = out.getvalue().splitlines()
    assert "not written: report.html, junit.xml; make room" in lines[-4]
    assert lines[-2].startswith("✗ FAIL")
    assert lines[-1] == "exit status 1"


def test_many_invariants_that_hold_are_one_line_and_broken_ones_still_stand_out(failed: Made) -> None:
    broken, *held = failed.verdict.invariants
    laws = (broken, *(msgspec.structs.replace(law, name=f"{law.name}-{n}") for n in range(3) for law in held))
    lines = [" ".join(line.split()) for line in render(msgspec.structs.replace(failed.verdict, invariants=laws))]
    assert "✓ 15 invariants hold 0 at least 3,105" in lines
    assert any(line.startswith("✗ Nobody is charged twice") for line in lines)
    assert not any("The stock adds up" in line for line in lines)
