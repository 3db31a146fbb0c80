"""Whatever befell a recording's files: a verdict that is no pass, or one clear error. Never a traceback."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from crashcart.judging import encode, judge
from crashcart.judging.shared import OutOfRoom
from crashcart.judging.tape import ROOMS, Room
from crashcart.judging.validity import LAST_LOOK_S
from crashcart.model.errors import BadFile, CrashcartError, UsageError
from crashcart.model.verdict import Outcome
from tests.unit.judging.recordings import MadeUp, healthy

FINISHED = (
    "plan.json",
    "events.jsonl",
    "faultlog.jsonl",
    "load-counters.jsonl",
    "load-summary.json",
    "intents.parquet",
    "pace.parquet",
    "series.parquet",
    "evidence.parquet",
    "truth/orders.parquet",
)
UNFINISHED = tuple(name.replace(".parquet", ".jsonl") if "/" not in name else name for name in FINISHED)
LOOKS = ("evidence.jsonl", "series.jsonl", "load-counters.jsonl")
"""Written line by line, many of them alike; of the last the end of its last line alone."""
SOME = settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return healthy().write(tmp_path_factory.mktemp("finished") / "run")


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = healthy()
    made.finished = False
    return made.write(tmp_path_factory.mktemp("unfinished") / "run")


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "work"
    shutil.rmtree(tmp_path / "work", ignore_errors=True)


def copied(recording: Path, work: Path) -> Path:
    shutil.rmtree(work, ignore_errors=True)
    return Path(shutil.copytree(recording, work))


def judged_or_refused(directory: Path) -> Outcome | None:
    try:
        verdict = judge(directory)
    except CrashcartError:
        return None
    assert encode(judge(directory)) == encode(verdict)
    return verdict.outcome


@SOME
@given(name=st.sampled_from(UNFINISHED), share=st.floats(0, 1))
def test_a_run_that_was_killed_while_it_wrote_is_judged_or_refused(
    unfinished: Path, work: Path, name: str, share: float
) -> None:
    path = copied(unfinished, work) / name
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert judged_or_refused(work) is not Outcome.PASS


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(name="evidence.jsonl", at=0.9375)
@given(name=st.sampled_from(UNFINISHED), at=st.one_of(st.floats(0, 0.999), st.integers(-3, -1)))
def test_a_file_that_was_cut_at_any_byte_before_the_manifest_told_of_it_is_no_pass(
    unfinished: Path, finished: Path, work: Path, name: str, at: float
) -> None:
    """Its hash is right, then. A pass it may be where all that is gone is the last looks, and nothing changes by it."""
    path = copied(unfinished, work) / name
    content = path.read_bytes()
    left = content[: int(len(content) * at) if at >= 0 else int(at)]
    path.write_bytes(left)
    try:
        healthy().finish(work)
        verdict = judge(work)
    except CrashcartError:
        return
    if name not in LOOKS or not (content[len(left) :].count(b"\n") <= 1 or _looked_to_the_end(name, left)):
        assert verdict.outcome is not Outcome.PASS
    elif verdict.outcome is Outcome.PASS:
        whole = judge(finished)
        assert (verdict.objectives, verdict.recovery, verdict.invariants, verdict.cost) == (
            whole.objectives,
            whole.recovery,
            whole.invariants,
            whole.cost,
        )


def _looked_to_the_end(name: str, left: bytes) -> bool:
    """Whether what is left of the probes goes on to the time when a last look may have begun."""
    whole = [line for line in left.splitlines(keepends=True) if line.endswith(b"\n")]
    return name == "evidence.jsonl" and bool(whole) and json.loads(whole[-1])["t"] >= healthy().end_s - LAST_LOOK_S


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(name="manifest.json", at=-1)
@given(name=st.sampled_from((*FINISHED, "manifest.json")), at=st.one_of(st.floats(0, 0.999), st.integers(-3, -1)))
def test_a_recording_of_which_a_file_was_cut_at_any_byte_is_refused(
    finished: Path, work: Path, name: str, at: float
) -> None:
    path = (work if work.exists() else copied(finished, work)) / name
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * at) if at >= 0 else int(at)])
    try:
        with pytest.raises(UsageError, match=Path(name).name):
            judge(work)
    finally:
        path.write_bytes(content)


@SOME
@given(name=st.sampled_from((*UNFINISHED, *FINISHED)), share=st.floats(0, 0.999), bit=st.integers(0, 7))
def test_a_bit_that_flipped_is_no_traceback_and_no_pass(
    finished: Path, unfinished: Path, work: Path, name: str, share: float, bit: int
) -> None:
    copied(finished if (finished / name).exists() else unfinished, work)
    (work / "manifest.json").unlink(missing_ok=True)
    content = bytearray((work / name).read_bytes())
    content[int(len(content) * share)] ^= 1 << bit
    (work / name).write_bytes(content)
    assert judged_or_refused(work) is not Outcome.PASS


@pytest.mark.parametrize("name", FINISHED)
@pytest.mark.parametrize("how", ["cut", "empty", "gone", "other"])
def test_what_differs_from_the_manifest_is_refused_by_its_name(finished: Path, work: Path, name: str, how: str) -> None:
    path = copied(finished, work) / name
    content = path.read_bytes()
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes({"cut": content[:-1], "empty": b"", "other": b"\xff" * len(content)}[how])
    with pytest.raises(UsageError, match=Path(name).name):
        judge(work)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b"[]", b'{"format": "crashcart/recording/v1"}', b'{"format": 7}']
)
def test_a_manifest_that_is_none_is_refused(finished: Path, work: Path, content: bytes) -> None:
    (copied(finished, work) / "manifest.json").write_bytes(content)
    with pytest.raises(BadFile, match="manifest"):
        judge(work)


def test_a_plan_of_a_newer_crashcart_is_refused_with_its_format(unfinished: Path, work: Path) -> None:
    plan = copied(unfinished, work) / "plan.json"
    plan.write_bytes(plan.read_bytes().replace(b"crashcart/plan/v1", b"crashcart/plan/v9"))
    with pytest.raises(UsageError, match="v9"):
        judge(work)


def test_an_event_that_lacks_what_it_must_tell_is_refused_with_its_line(run: MadeUp, tmp_path: Path) -> None:
    run.events.insert(1, ("scrape-gap", 12.0, {"job": "load", "from_s": "early"}))
    with pytest.raises(BadFile, match="scrape-gap") as caught:
        judge(run.write(tmp_path / "run"))
    assert caught.value.line == 2


def test_a_table_that_is_none_is_refused(unfinished: Path, work: Path) -> None:
    (copied(unfinished, work) / "series.parquet").write_bytes(b"PAR1 no table PAR1")
    with pytest.raises(BadFile, match="can't be read"):
        judge(work)


def test_rows_that_are_not_whole_are_left_out_and_said(run: MadeUp, tmp_path: Path) -> None:
    run.finished = False
    directory = run.write(tmp_path / "run")
    with (directory / "pace.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"t": 7, "scheduled": null, "started": 3}\n')
    check = next(check for check in judge(directory).validity if check.name == "recording")
    assert "pace" in check.detail


def test_where_there_is_little_room_the_verdict_is_the_same(finished: Path) -> None:
    assert encode(judge(finished, (Room("2MB", 1), *ROOMS))) == encode(judge(finished))


def test_where_there_is_too_little_room_no_verdict_is_given(finished: Path) -> None:
    with pytest.raises(OutOfRoom, match="not enough memory") as caught:
        judge(finished, (Room("2MB", 1),))
    assert caught.value.remedy


def test_a_table_of_another_run_does_not_stand_in_for_one_that_could_not_be_read(
    run: MadeUp, finished: Path, work: Path
) -> None:
    run.books = False
    run.without_event("books-read")
    run.events.append(("books-read", 62.0, {"rows": {}, "errors": {"orders": "orders-db could not be read"}}))
    made = run.write(work / "made")
    assert judge(made).outcome is Outcome.INCONCLUSIVE
    shutil.copytree(finished / "truth", made / "truth")
    with pytest.raises(BadFile, match=r"orders\.parquet: .* was not recorded"):
        judge(made)


def test_the_same_recording_gives_the_same_bytes_whatever_was_written_beside_it(finished: Path, work: Path) -> None:
    before = encode(judge(finished))
    copied(finished, work)
    for name in ("verdict.json", "report.html", "junit.xml"):
        (work / name).write_bytes(before)
    assert encode(judge(work)) == before
    assert msgspec.json.decode(before)["outcome"] == "pass"
