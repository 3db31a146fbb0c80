from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from crashcart.model.errors import BadFile
from crashcart.model.verdict import FailedOrder, Outcome, Verdict
from crashcart.reporting import unwritten, write_all
from crashcart.reporting.html import render_page
from crashcart.reporting.words import NBSP
from tests.unit.reporting.conftest import Made
from tests.unit.reporting.markup import Markup
from tests.unit.reporting.recordings import make_recording
from tests.unit.reporting.stories import FAIL, HOSTILE, Story


def read(folder: Path, verdict: Verdict) -> Markup:
    return Markup(render_page(folder, verdict).replace(NBSP, " "))


def before_the_timeline(page: Markup) -> str:
    return page.text.partition("Skip to the timeline")[2].partition("Every panel shares")[0]


@pytest.fixture(scope="module")
def page(failed: Made) -> Markup:
    return read(failed.folder, failed.verdict)


@pytest.mark.parametrize("story", ["passed", "failed", "unsure"])
def test_the_page_asks_for_nothing_but_itself(story: str, request: pytest.FixtureRequest) -> None:
    made: Made = request.getfixturevalue(story)
    page = read(made.folder, made.verdict)
    assert "script" not in page.tags
    assert not page.handlers
    assert all(address.startswith("#") or address == "data:," for address in page.addresses)
    assert "url(" not in page.styles
    assert "@import" not in page.styles
    assert not {"iframe", "object", "embed", "img", "audio", "video", "form", "base"} & set(page.tags)


@pytest.mark.parametrize("story", ["passed", "failed", "unsure"])
def test_every_element_is_closed_where_it_should_be(story: str, request: pytest.FixtureRequest) -> None:
    made: Made = request.getfixturevalue(story)
    page = read(made.folder, made.verdict)
    assert (page.unclosed, page.misnested) == ([], [])
    assert len(page.ids) == len(set(page.ids))
    assert all(address[1:] in page.ids for address in page.addresses if address.startswith("#"))


def test_every_drawing_says_in_words_what_it_shows(page: Markup) -> None:
    assert page.tags.count("svg") > 20
    assert page.images_without_words == 0


def test_the_first_screen_has_the_word_the_headline_and_what_to_look_at(failed: Made, page: Markup) -> None:
    first = before_the_timeline(page)
    for said in (
        "fail",
        failed.verdict.headline,
        failed.verdict.hypothesis,
        *failed.verdict.look_at,
        *failed.verdict.reasons,
    ):
        assert said in first


def test_the_first_screen_has_the_numbers_of_the_run_without_its_warm_up(failed: Made, page: Markup) -> None:
    first = before_the_timeline(page)
    judged = [phase for phase in failed.verdict.phases if phase.name != "warmup"]
    assert f"Offered {sum(phase.offered for phase in judged):,}" in first
    assert f"Completed {sum(phase.ok for phase in judged):,}" in first
    assert f"Unknown {sum(phase.unknown for phase in judged):,}" in first
    assert "Recovery never" in first
    assert "4 of 3,105 Nobody is charged twice" in first
    assert "0 of 3,105 No accepted order is lost" in first


def test_every_objective_invariant_check_and_process_is_on_the_page(failed: Made, page: Markup) -> None:
    verdict = failed.verdict
    titles = [law.title for law in verdict.invariants] + [check.detail for check in verdict.validity]
    titles += [one.slo for one in verdict.objectives] + [seen.title for seen in verdict.evidence]
    titles += list(verdict.cost.cpu_ms_per_order_by_process) + list(verdict.disagreements)
    assert all(title in page.text for title in titles)
    for cohort in {one.cohort for one in verdict.objectives} - {"all"}:
        assert page.text.count(cohort.replace("_", " ").replace(":", ": ")) >= 5


def test_the_page_says_how_to_run_it_again_and_where_it_was_run(page: Markup) -> None:
    for said in (
        "crashcart run experiments/card-processor-outage-at-peak.yaml --seed 7 --design reference",
        "2 cores, 7,960 MiB, Linux 6.1.0",
        "toxiproxy 2.12.0",
        "5a1d0c3e9b7f4a2d8c6e1f0b3a5d7c9e2f4b6a8d",
    ):
        assert said in page.text


def test_a_witness_leads_to_its_lines_in_the_logs(page: Markup) -> None:
    assert "grep -rhF R-0000001234 logs/" in page.text
    assert "charge captured" in page.text


def test_the_story_of_a_reference_is_told_once(failed: Made) -> None:
    law = failed.verdict.invariants[0]
    again = msgspec.structs.replace(law, name="captured-equals-total", title="What was captured is what it costs")
    page = read(failed.folder, msgspec.structs.replace(failed.verdict, invariants=(law, again)))
    assert page.text.count("What the logs say of R-0000001234") == 2
    assert page.text.count("grep -rhF R-0000001234 logs/") == 1
    assert "R-0000001234, R-0000001235, R-0000001236 stands above" in page.text


def test_text_from_the_shop_is_shown_and_never_obeyed(tmp_path: Path) -> None:
    story = replace(FAIL, hostile=HOSTILE)
    verdict = make_recording(tmp_path, story)
    text = render_page(tmp_path, verdict)
    page = Markup(text)
    assert "script" not in page.tags
    assert "<script>alert(1)</script>" in page.text
    assert not re.search("[\x00-\x08\x0b-\x1f\u202e]", text)


@pytest.mark.parametrize("key", ["onload=alert(1) x", "</td><script>", "a b", ""])
def test_names_of_columns_from_the_shop_are_escaped_too(failed: Made, key: str) -> None:
    law = failed.verdict.invariants[0]
    witness = msgspec.structs.replace(law.witnesses[0], row={key: HOSTILE, "reference": key})
    page = read(
        failed.folder,
        msgspec.structs.replace(failed.verdict, invariants=(msgspec.structs.replace(law, witnesses=(witness,)),)),
    )
    assert "script" not in page.tags
    assert not page.handlers
    assert not page.misnested


def test_a_purchase_that_was_sold_out_is_not_called_completed(unsure: Made) -> None:
    page = read(unsure.folder, unsure.verdict)
    assert "In all 10 cohorts every purchase was completed, but for those declined or sold out." in page.text


def test_the_same_recording_and_verdict_give_the_same_page(failed: Made) -> None:
    assert render_page(failed.folder, failed.verdict) == render_page(failed.folder, failed.verdict)


def test_a_run_of_half_an_hour_is_a_page_of_well_under_two_megabytes(tmp_path: Path) -> None:
    verdict = make_recording(tmp_path, Story("long", Outcome.FAIL, amex_lost=0.9, stretch=22.5, per_s=10))
    assert len(render_page(tmp_path, verdict).encode()) < 1_000_000


def test_a_run_that_broke_off_before_any_load_still_has_a_page(failed: Made, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_bytes((failed.folder / "plan.json").read_bytes())
    (tmp_path / "events.jsonl").write_text('{"t":-3.0,"wall":"","event":"boot-started"}\n{"t":-1.0,"wa')
    verdict = msgspec.structs.replace(
        failed.verdict,
        outcome=Outcome.INCONCLUSIVE,
        ended="broken",
        phases=(),
        objectives=(),
        invariants=(),
        evidence=(),
        recovery=None,
        look_at=(),
    )
    page = read(tmp_path, verdict)
    assert "No purchase was recorded" in page.text
    assert "No invariant was examined" in page.text
    assert "incomplete: it has no manifest" in page.text
    assert "Errors in the books –" in page.text
    assert (page.unclosed, page.misnested) == ([], [])


def test_a_folder_that_is_no_recording_is_one_clear_error(failed: Made, tmp_path: Path) -> None:
    with pytest.raises(BadFile, match=r"plan\.json"):
        render_page(tmp_path, failed.verdict)


def test_all_files_of_a_report_are_written_and_no_others(failed: Made, tmp_path: Path) -> None:
    for name in ("plan.json", "events.jsonl", "intents.parquet"):
        (tmp_path / name).write_bytes((failed.folder / name).read_bytes())
    page = write_all(tmp_path, failed.verdict)
    assert page == tmp_path / "report.html"
    written = {file.name for file in tmp_path.iterdir()} - {"plan.json", "events.jsonl", "intents.parquet"}
    assert written == {"report.html", "report.md", "verdict.json", "junit.xml", "failed-orders.csv"}
    assert unwritten(tmp_path, failed.verdict) == ()


def test_a_shop_that_says_something_else_each_time_does_not_fill_the_page(failed: Made) -> None:
    orders = tuple(
        FailedOrder(f"key-{n}", f"R-{n:010d}", 30.0, {"region": "north"}, "failed", f"problem {n}" * 99, 900, None)
        for n in range(20_000)
    )
    text = render_page(failed.folder, failed.verdict, orders)
    assert len(text.encode()) < 1_000_000
    assert "And 19,988 problems more" in text
    assert "50 of 20,000 failed orders" in text


def test_a_run_in_which_much_happened_is_told_from_both_ends(tmp_path: Path) -> None:
    verdict = make_recording(tmp_path, FAIL)
    with (tmp_path / "events.jsonl").open("a") as events:
        events.writelines(
            f'{{"t":{n / 100},"wall":"","event":"mark","data":{{"text":"note {n}"}}}}\n' for n in range(5000)
        )
    page = read(tmp_path, verdict)
    assert "left out 4" in page.text
    assert "note 4999" in page.text
    assert page.tags.count("tr") < 2000
