"""Files that once brought `plan` down, made it wait, or had their way with it: each is one message by now."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from crashcart.loading.yamltree import parse_tree
from crashcart.model.errors import BadFile, UsageError
from tests.unit.loading.inprocess import Ending, call
from tests.unit.loading.spoiling import TINY, copied

EXPERIMENT = "experiments/shelf-gone.yaml"
DESIGN = "stack/designs/tiny.yaml"
LOAD = "loadtests/load.yaml"
BOOKS = "stack/truth/books.yaml"
SLO = "stack/slos/purchase-success.yaml"
INVARIANT = "stack/truth/invariants/no-order-lost.sql"

Plan = Callable[..., Ending]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return copied(TINY, (tmp_path / "tiny").resolve())


@pytest.fixture
def plan(project: Path) -> Plan:
    call(("--project", str(project), "plan", "shelf-gone"))  # whatever is imported when it is first used

    def planned(*more: str) -> Ending:
        return call(("--project", str(project), "plan", "shelf-gone", *more))

    return planned


def _replace(path: Path, good: str, bad: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert good in text
    path.write_text(text.replace(good, bad, 1), encoding="utf-8")


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("!!bool maybe", "the tag tag:yaml.org,2002:bool is not read here"),
        ("!!int ''", "the tag tag:yaml.org,2002:int is not read here"),
        ("!!timestamp x", "the tag tag:yaml.org,2002:timestamp is not read here"),
        ("0001-01-01T00:00:00+23:59", "is read as a date"),
        ("12:30:45", "is read as a number to base 60"),
        ("1" + ":0" * 100_000, "is read as a number to base 60"),
        ("9" * 5_000, "the number is too large"),
        ("9223372036854775808", "the number is too large"),
        ("{<<: {b: 1}}", "merge keys (<<) are not used here"),
        ("=", "has a meaning of its own in YAML"),
        (".inf", "is not a finite number"),
        ("{b: [.nan]}", "is not a finite number"),
        ('"\\0"', r"the character '\x00'"),
        ('"\\e[2J"', r"the character '\x1b'"),
        ('"\\u202e"', r"the character '\u202e'"),
        ('{"b\\nc": 1}', "has a character in it that nobody sees"),
    ],
)
def test_a_value_that_is_not_what_it_seems_is_refused_at_its_line(value: str, says: str) -> None:
    with pytest.raises(BadFile) as caught:
        parse_tree(f"first: 1\na: {value}\n", "f.yaml")
    assert says in str(caught.value)
    assert caught.value.line == 2


def test_what_is_said_to_be_text_is_text() -> None:
    assert parse_tree("a: !!str 7\n", "f.yaml").data == {"a": "7"}


@pytest.mark.parametrize(
    ("data", "line", "says"),
    [
        (b"\xff\xfea\x00", 1, "not UTF-8"),
        (b"a: 1\nb: caf\xe9\n", 2, "not UTF-8"),
        (b"a: 1\n# \xe2\x80\xae\n", 2, r"the character '\u202e'"),
        (b"a: 1\r\nb: \x00\r\n", 2, r"the character '\x00'"),
        (b"a: 1\xc2\x85b: 2\n", 1, r"the character '\x85'"),
        (b"a: 1\nb: 2\n\xef\xbb\xbfc: 3\n", 3, r"the character '\ufeff'"),
    ],
)
@pytest.mark.parametrize("file", [EXPERIMENT, INVARIANT])
def test_characters_that_nobody_sees_are_named_with_their_line(
    project: Path, plan: Plan, file: str, data: bytes, line: int, says: str
) -> None:
    (project / file).write_bytes(data)
    ending = plan()
    assert ending.status == 2
    assert f"{file}:{line}: " in ending.err
    assert says in ending.err


@pytest.mark.parametrize("file", [EXPERIMENT, INVARIANT])
def test_a_byte_order_mark_and_other_line_ends_change_nothing(project: Path, plan: Plan, file: str) -> None:
    before = plan("--json").out
    text = (project / file).read_text(encoding="utf-8")
    (project / file).write_bytes(text.replace("\n", "\r\n").encode("utf-8-sig"))
    after = plan("--json")
    assert (after.status, after.out) == (0, before)


@pytest.mark.parametrize("file", [EXPERIMENT, SLO, INVARIANT])
def test_what_is_no_file_is_not_waited_for(project: Path, plan: Plan, file: str) -> None:
    (project / file).unlink()
    os.mkfifo(project / file)
    assert f"{file}: is no regular file" in _refused(plan)
    (project / file).unlink()
    (project / file).symlink_to("/dev/zero")
    assert "is no regular file" in _refused(plan)


def _refused(plan: Plan) -> str:
    """What is said."""
    ending = plan()
    assert ending.status == 2
    return ending.err


def test_a_file_that_is_far_too_long_is_not_read_to_its_end(project: Path, plan: Plan) -> None:
    with (project / EXPERIMENT).open("ab") as file:
        file.truncate(1 << 40)
    assert "over 256 KiB" in _refused(plan)


def test_what_a_design_takes_from_another_is_wrong_there(project: Path, plan: Plan) -> None:
    _replace(project / DESIGN, "    entry: true", "    entry: true\n    replicas: 99")
    ending = plan("--design", "tiny-disk")
    assert ending.status == 2
    assert f"{DESIGN}:7: replicas: 99" in ending.err


@pytest.mark.parametrize(
    ("file", "good", "bad", "line", "says"),
    [
        (DESIGN, "links: [shelf]", "links: [shelf, shelf]", 8, "links to shelf twice"),
        (DESIGN, "name: tiny,", "name: tinny,", 3, "the file's name is 'tiny'"),
        (LOAD, "purchase_share: 0.5", "purchase_share: 1.0e-300", 4, "purchase_share: 1e-300 is not in"),
        (LOAD, "patience_s: 6", "patience_s: -1", 8, "patience_s: -1"),
        (LOAD, "browse: 1.0", "browse: -1", 7, "browse: -1"),
        (LOAD, "browse: 1.0", "browse: 1.0e+308", 7, "browse: 1e+308"),
        (LOAD, "patience_s: 6", "entry: dor", 8, 'did you mean "door"?'),
        (LOAD, "side:", '"side:x":', 6, "'side:x' can't name a cohort"),
        (SLO, "name: purchase-success", "name: ../purchase-success", 4, "can't name an SLO"),
        (SLO, 'sli="purchase",outcome="ok"', 'sli=~"["', 14, "is not a regular expression"),
        (SLO, 'sli="purchase",outcome="ok"', 'sli=~"a{99999999999}"', 14, "is not a regular expression"),
        (SLO, 'sli="purchase",outcome="ok"', 'sli=~"[[a]"', 14, "is not a regular expression"),
        (BOOKS, "within: 2s", "within: 999999h", 7, "quiesce.within"),
        (BOOKS, "kind: Books", "kind: Books\nmaxUnknownShare: 5", 3, "maxUnknownShare: 5 is not in [0, 1)"),
        (BOOKS, "ledger: shelf", "ledger: shlef", 5, 'did you mean "shelf"?'),
        (BOOKS, "ledger: shelf", "database: door\n    sql: SELECT 1", 5, "it is a service of kind process"),
        (BOOKS, "  shelf:\n", "  intents:\n", 4, "intents is a table already"),
        (INVARIANT, "-- minimum: 10", "-- minimum: \u00b2", 3, "minimum: '\u00b2' is not a number"),
        (INVARIANT, "-- minimum: 10", "-- minimum: " + "9" * 5_000, 3, "is not a number"),
        (INVARIANT, "-- minimum: 1", "-- minimum: 1\n-- minimum: 2", 4, "stands here twice"),
        (INVARIANT, "SELECT id, reference", "SELECT id, refrence", 4, "refrence"),
        (INVARIANT, "SELECT count(*)", "SELECT\ncuont(*)", 7, "cuont"),
        (EXPERIMENT, "warmup: 1s, baseline: 4s", "warmup: 0.0000001s, baseline: 4s", 7, "must take some time"),
        (EXPERIMENT, "within: 4s", "within: " + "9" * 400 + "h", 15, "expected a duration"),
    ],
)
def test_what_can_not_work_is_refused_where_it_stands(
    project: Path, plan: Plan, file: str, good: str, bad: str, line: int, says: str
) -> None:
    _replace(project / file, good, bad)
    ending = plan()
    assert ending.status == 2, ending
    assert f"{file}:{line}: " in ending.err
    assert says in ending.err
    assert ending.touched == ()


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("below: -0.2, for: 5s", "below: -0.2 is not in (0, 1]"),
        ("below: 20, for: 5s", "below: 20 is not in (0, 1]"),
        ("below: 0.2, for: 0s", "for: 0s is no time to look back"),
        ("below: 0.2, for: 999h", "for: 59940m is no time to look back"),
    ],
)
def test_a_guardrail_that_never_aborts_or_always_does_is_refused(
    project: Path, plan: Plan, rule: str, says: str
) -> None:
    with (project / EXPERIMENT).open("a", encoding="utf-8") as file:
        file.write(f"guardrails:\n  - {{slo: purchase-success, {rule}}}\n")
    ending = plan()
    assert (ending.status, says in ending.err) == (2, True), ending.err
    assert f"{EXPERIMENT}:18: " in ending.err


def test_a_title_is_no_markup_of_ours(project: Path, plan: Plan) -> None:
    _replace(project / EXPERIMENT, "title: The shelf", 'title: "[/] [bold] The shelf')
    _replace(project / EXPERIMENT, "for three seconds}", 'for three seconds"}')
    listed = call(("--project", str(project), "list"))
    assert (listed.status, "[/] [bold]" in listed.out) == (0, True), listed.err
    assert "[/] [bold] The shelf" in plan().out


@pytest.mark.parametrize("columns", ["VARCHAR); COPY (SELECT 42) TO '{}'; --", "BIGINT DEFAULT (SELECT 1); SELECT 1"])
def test_a_column_of_the_books_is_no_way_to_write_a_file(
    project: Path, plan: Plan, tmp_path: Path, columns: str
) -> None:
    target = tmp_path / "written.csv"
    _replace(project / BOOKS, "VARCHAR", f'"{columns.format(target)}"')
    ending = plan()
    assert (ending.status, target.exists()) == (2, False)
    assert f"{BOOKS}:6: it can't be asked" in ending.err


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1; SELECT count(*) FROM range(1000000000000)",
        "SELECT 1; CREATE TABLE more (a INT)",
        "CREATE TABLE more (a INT)",
        "COPY intents TO 'written.csv'",
    ],
)
def test_an_invariant_is_one_query_that_reads(project: Path, plan: Plan, query: str) -> None:
    (project / INVARIANT).write_text(f"-- title: x\n{query}\n-- examined:\nSELECT 1\n", encoding="utf-8")
    ending = plan()
    assert ending.status == 2
    assert f"{INVARIANT}:1: it can't be asked: it is not one query that only reads" in ending.err


@pytest.mark.parametrize(
    "query",
    [
        "SELECT list_sum(range(2000000000))",
        "SELECT repeat('x', 3000000000)",
        "SELECT sum(r) FROM range(10000000000000) t(r)",
    ],
)
def test_what_an_invariant_would_take_long_to_reckon_is_not_reckoned_in_the_plan(
    project: Path, plan: Plan, query: str
) -> None:
    (project / "stack" / "truth" / "shared").mkdir()
    (project / "stack" / "truth" / "shared" / "large.sql").write_text(f"{query}\n", encoding="utf-8")
    (project / INVARIANT).write_text(f"-- title: x\n{query}\n-- examined:\nSELECT 1\n", encoding="utf-8")
    ending = plan()
    assert ending.status == 0, ending.err
    assert ending.cpu_s < 2


@pytest.mark.parametrize("override", ["faults.\u00b2.for=1s", f"faults.{'9' * 5_000}.for=1s"])
def test_a_number_of_an_item_that_is_none_leads_nowhere(plan: Plan, override: str) -> None:
    ending = plan("--set", override)
    assert ending.status == 2
    assert "leads nowhere" in ending.err


def test_a_name_that_no_file_can_have_is_no_experiment(project: Path) -> None:
    ending = call(("--project", str(project), "plan", "x" * 5_000))
    assert ending.status == 2
    assert "there is no experiment" in ending.err


def test_an_experiment_has_a_bounded_number_of_faults(project: Path, plan: Plan) -> None:
    more = "  - noop: {link: door.shelf}\n    for: 3s\n" * 3_000
    _replace(project / EXPERIMENT, "expect:\n", f"{more}expect:\n")
    ending = plan()
    assert ending.status == 2
    assert f"{EXPERIMENT}:8: there are 3001 faults" in ending.err
    assert ending.cpu_s < 2


def test_a_fault_kind_of_the_projects_own_is_refused_at_its_line(project: Path, plan: Plan) -> None:
    (project / "stack" / "faults" / "other.yaml").write_text(
        "apiVersion: crashcart/v1\nkind: FaultKind\n", encoding="utf-8"
    )
    ending = plan()
    assert ending.status == 2
    assert "stack/faults/other.yaml:1: metadata is missing" in ending.err


def test_usage_errors_stay_usage_errors() -> None:
    assert issubclass(BadFile, UsageError)
