from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from crashcart.model.verdict import FailedOrder, Outcome, Verdict, Witness
from crashcart.reporting.markdown import markdown
from crashcart.reporting.mdtext import code, prose
from crashcart.reporting.recorded import read_plan
from crashcart.reporting.words import NBSP
from tests.unit.reporting.conftest import Made
from tests.unit.reporting.stories import HOSTILE

NASTY = (
    "a | b",
    "[me](https://evil.example)",
    "![x](https://evil.example/x.png)",
    "<img src=x onerror=alert(1)>",
    "<https://evil.example>",
    "`code` ``` fence",
    "# heading",
    "- item",
    "1. item",
    "**bold** _it_ ~~gone~~",
    "&lt;script&gt;",
    "\\",
    "line\n\n# next",
    "=== setext",
    HOSTILE,
)
OBEYED = {"html_inline", "html_block", "link_open", "image", "em_open", "strong_open", "s_open", "code_block"}


def parse(text: str) -> list[Token]:
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(text)
    return [*tokens, *(child for token in tokens for child in token.children or ())]


def shown(text: str) -> str:
    return "".join(token.content for token in parse(text) if token.type in ("text", "text_special", "code_inline"))


def report(made: Made, verdict: Verdict | None = None, orders: tuple[FailedOrder, ...] = ()) -> str:
    return markdown(verdict or made.verdict, read_plan(made.folder), orders).replace(NBSP, " ")


def headings(text: str) -> list[str]:
    return [line.removeprefix("### ") for line in text.splitlines() if line.startswith("### ")]


def test_a_pass_is_short_and_says_what_was_looked_at(passed: Made) -> None:
    text = report(passed)
    assert text.startswith("## ✓ PASS: The bigger card processor is gone for 20 s at peak\n")
    assert "| ✓ | objectives | 44 of 44 met |" in text
    assert "| ✓ | the books | 6 of 6 invariants hold |" in text
    assert headings(text) == ["The books", "Evidence", "Recovery", "Run it again"]


def test_a_fail_begins_with_its_sentence_and_has_the_numbers_of_what_was_missed(failed: Made) -> None:
    text = report(failed)
    assert text.startswith("## ✗ FAIL: ")
    assert f"**{failed.verdict.headline}**" in text
    row = next(line for line in text.splitlines() if "network: amex" in line)
    assert row == ("| ✗ | fault | `purchase-success` | network: amex | 2.94 % | 90 % | 1 / 34 | \\< 0.001 |")
    assert "until sustained health | never in the 30 s observed |" in text
    assert headings(text)[:3] == ["Look at first", "Why", "Objectives not met"]


def test_a_broken_invariant_shows_three_witnesses_at_most(failed: Made) -> None:
    text = report(failed)
    assert "✗ **Nobody is charged twice** (`no-double-charge`): 4 of 3,105 examined contradict it" in text
    assert text.count("| `R-000000123") == 3
    assert text.count("| `2` | `8998` |") == 3


def test_an_inconclusive_run_says_why_it_does_not_count_and_what_to_do(unsure: Made) -> None:
    text = report(unsure)
    assert text.startswith("## ? INCONCLUSIVE: ")
    assert "- **Every fault acted** (`evidence`): F1 was not seen. Check the link." in text
    assert "Why the run does not count" in headings(text)


def test_of_a_run_that_does_not_count_no_objective_is_called_missed(unsure: Made) -> None:
    text = report(unsure)
    assert "| ? | objectives | not judged: the run does not count |" in text
    assert "Objectives not met" not in text


def test_it_says_how_to_run_it_again(passed: Made) -> None:
    command = "crashcart run experiments/card-processor-outage-at-peak.yaml --seed 7 --design reference"
    assert f"```sh\n{command}\n```" in report(passed)


def test_failed_orders_are_counted_by_problem_and_who_was_told_is_said(failed: Made) -> None:
    orders = tuple(
        FailedOrder(f"key-{n}", f"R-{n}", 30.0 + n, {}, "failed", "payment-unavailable", 900, 1.0) for n in range(3)
    )
    text = report(failed, orders=orders)
    assert "| `payment-unavailable` | 3 | `R-0` |" in text
    assert "170 of 181 (93.92 %) were written to, half of them within 2.1 s, 99 % within 6.8 s." in text


@pytest.mark.parametrize("nasty", NASTY)
def test_text_from_the_shop_is_shown_and_never_obeyed(failed: Made, nasty: str) -> None:
    law = msgspec.structs.replace(
        failed.verdict.invariants[0],
        title=nasty,
        reason=nasty,
        witnesses=(Witness({nasty: nasty, "reference": nasty}),),
    )
    order = FailedOrder("key", nasty, 31.0, {}, "failed", nasty, None, None)
    hostile = msgspec.structs.replace(
        failed.verdict, headline=nasty, title=nasty, look_at=(nasty,), reasons=(nasty,), invariants=(law,),
        marks=((1.0, nasty),), disagreements=(nasty,), saw=(nasty,),
    )  # fmt: skip
    tokens = parse(report(failed, hostile, (order,)))
    kinds = {token.type for token in tokens}
    assert kinds & OBEYED <= {"strong_open"}
    assert not any(ord(char) < 32 and char != "\n" for char in report(failed, hostile, (order,)))


@pytest.mark.parametrize("nasty", NASTY)
def test_rows_keep_their_cells_whatever_stands_in_them(nasty: str) -> None:
    for made in (prose(nasty), code(nasty)):
        tokens = parse(f"| a | b |\n| --- | --- |\n| {made} | 2 |\n")
        assert [token.type for token in tokens].count("td_open") == 2
        assert [token.content for token in tokens if token.type == "inline"][-1] == "2"


@pytest.mark.parametrize("word", ["@octocat", "#12", "https://evil.example", "www.evil.example", ":tada:"])
def test_nothing_that_a_server_would_turn_into_a_mention_or_a_link_is_left_whole(word: str) -> None:
    assert word not in prose(f"see {word} now")
    assert shown(prose(word)).replace("\u2060", "") == word


@pytest.mark.parametrize("text", ["2.94 % of 34", "0.1.0", "network:visa", "p < 0.001", "a_b", "-5 ms", "1. first"])
def test_ordinary_words_read_as_they_were_written(text: str) -> None:
    assert shown(prose(text)) == text


def test_it_fits_into_a_comment_however_much_was_found(failed: Made) -> None:
    wide = Witness({f"column {n}": "x" * 5000 for n in range(40)})
    laws = tuple(
        msgspec.structs.replace(
            failed.verdict.invariants[0], name=f"law-{n}", outcome=Outcome.FAIL, witnesses=(wide,) * 10
        )
        for n in range(30)
    )
    text = report(failed, msgspec.structs.replace(failed.verdict, invariants=laws, reasons=("why " * 500,) * 500))
    assert len(text.encode()) < 65_000
    assert "Cut here: the whole is in `report.html`." in text


def test_the_same_verdict_gives_the_same_bytes(failed: Made, tmp_path: Path) -> None:
    assert report(failed) == report(failed)
