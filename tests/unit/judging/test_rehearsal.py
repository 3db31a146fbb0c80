"""What can't be asked of the books is known before anything is started."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from crashcart.judging import rehearse
from crashcart.loading import open_project
from crashcart.model.truth import Invariant, Truth

ROOT = Path(__file__).parents[3]
PROJECTS = (ROOT, ROOT / "tests" / "projects" / "tiny", ROOT / "crashcart" / "scaffold" / "template")


@pytest.fixture
def truth() -> Truth:
    return open_project(ROOT).truth


@pytest.mark.parametrize("project", PROJECTS, ids=lambda path: path.name)
def test_all_that_the_projects_of_this_repository_ask_can_be_asked(project: Path) -> None:
    assert list(rehearse(open_project(project).truth)) == []


@pytest.mark.parametrize(
    ("change", "file", "said"),
    [
        ({"sql": "SELECT reference FROM ordres"}, "invariants/no-double-charge.sql", 'Did you mean "orders"'),
        ({"sql": "SELEC reference FROM orders"}, "invariants/no-double-charge.sql", "syntax error"),
        ({"sql": "SELECT refrence FROM orders"}, "invariants/no-double-charge.sql", "refrence"),
        ({"examined_sql": "SELECT count(*) FROM nothing"}, "invariants/no-double-charge.sql", "nothing"),
        ({"sql": "SELECT name FROM recording.series"}, "invariants/no-double-charge.sql", '"name" not found'),
        ({"examined_sql": "SELECT 1; SELECT 9"}, "invariants/no-double-charge.sql", "it is not one query"),
        ({"sql": "CREATE TABLE mine AS SELECT 1"}, "invariants/no-double-charge.sql", "it is not one query"),
    ],
)
def test_an_invariant_that_can_not_be_asked_is_named(
    truth: Truth, change: dict[str, str], file: str, said: str
) -> None:
    wrong = next(one for one in truth.invariants if one.name == "no-double-charge")
    spoilt = msgspec.structs.replace(truth, invariants=(msgspec.structs.replace(wrong, **change),))
    (refused,) = rehearse(spoilt)
    assert refused.file == file
    assert said in refused.said


def test_a_column_of_a_type_that_is_none_is_named(truth: Truth) -> None:
    orders = msgspec.structs.replace(truth.sources["orders"], columns={"order_id": "BIGGINT"})
    (refused,) = rehearse(msgspec.structs.replace(truth, sources={**truth.sources, "orders": orders}))
    assert (refused.file, refused.source) == ("books.yaml", "orders")
    assert "columns of orders" in refused.said
    assert "BIGGINT" in refused.said


def test_a_shared_table_that_can_not_be_made_is_named_and_not_those_that_need_it(truth: Truth) -> None:
    spoilt = msgspec.structs.replace(truth, shared={**truth.shared, "odd": "SELECT nobody FROM orders"})
    (refused,) = rehearse(spoilt)
    assert refused.file == "shared/odd.sql"
    assert "nobody" in refused.said


def test_a_query_reads_no_file_of_the_machine(truth: Truth, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a\n1\n", encoding="utf-8")
    wrong = msgspec.structs.replace(truth.invariants[0], sql=f"SELECT * FROM read_csv('{tmp_path}/secret.csv')")
    assert [refused.file for refused in rehearse(msgspec.structs.replace(truth, invariants=(wrong,)))] != []


def _alone(truth: Truth, shared: str, *asks: Invariant) -> Truth:
    return msgspec.structs.replace(truth, shared={"odd": shared}, invariants=asks, exclusions_sql="", follow_up_sql="")


def test_columns_of_one_name_are_told_apart_as_the_judge_tells_them_apart(truth: Truth) -> None:
    asks = msgspec.structs.replace(truth.invariants[0], sql="SELECT a, a_1, n FROM odd", examined_sql="SELECT 1")
    assert list(rehearse(_alone(truth, "SELECT 1 AS a, 2 AS a, NULL AS n -- twice", asks))) == []


@pytest.mark.parametrize(
    "query", ["PIVOT orders ON state USING count(*)", "WITH x AS (PIVOT orders ON state USING count(*)) FROM x"]
)
def test_a_query_that_is_carried_out_to_know_its_columns_is_refused(truth: Truth, query: str) -> None:
    asks = msgspec.structs.replace(truth.invariants[0], sql=query)
    for refused in (*rehearse(_alone(truth, query)), *rehearse(_alone(truth, "SELECT 1 AS a", asks))):
        assert "write PIVOT … ON … IN (…)" in refused.said
    assert [one.file for one in rehearse(_alone(truth, query))] == ["shared/odd.sql"]


def test_a_pivot_that_says_its_columns_can_be_asked(truth: Truth) -> None:
    assert list(rehearse(_alone(truth, "PIVOT orders ON state IN ('placed', 'paid') USING count(*)"))) == []


def test_a_shared_query_of_which_no_table_can_be_made_is_named(truth: Truth) -> None:
    (refused,) = rehearse(_alone(truth, "SELECT 1 AS a, 2 AS A, 3 AS a_1, 'x' AS \"\""))
    assert refused.file == "shared/odd.sql"
