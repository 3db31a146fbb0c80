from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from crashcart.model.errors import BadFile, UsageError
from crashcart.model.verdict import Cost, Witness
from crashcart.reporting.jsonfile import read_verdict, verdict_json, write_verdict
from tests.unit.reporting.conftest import Made


def test_the_same_verdict_gives_the_same_bytes_wherever_its_dicts_began(failed: Made) -> None:
    turned = dict(reversed(failed.verdict.cost.cpu_ms_per_order_by_process.items()))
    other = msgspec.structs.replace(
        failed.verdict, cost=msgspec.structs.replace(failed.verdict.cost, cpu_ms_per_order_by_process=turned)
    )
    assert verdict_json(other) == verdict_json(failed.verdict)


def test_a_sum_added_in_another_order_gives_the_same_bytes(failed: Made) -> None:
    one, other = (
        msgspec.structs.replace(failed.verdict, cost=Cost(1, 2, total, {}, None))
        for total in (0.1 + 0.2 + 0.3, 0.3 + 0.2 + 0.1)
    )
    assert one != other
    assert verdict_json(one) == verdict_json(other)


def test_keys_are_sorted_and_the_file_ends_in_a_newline(failed: Made) -> None:
    objects: list[list[str]] = []
    text = verdict_json(failed.verdict)
    json.loads(text, object_pairs_hook=lambda pairs: objects.append([key for key, _ in pairs]))
    assert len(objects) > 50
    assert all(keys == sorted(keys) for keys in objects)
    assert text.endswith("}\n")


def test_what_is_no_number_is_null(failed: Made) -> None:
    law = msgspec.structs.replace(
        failed.verdict.invariants[0],
        witnesses=(Witness({"share": float("nan"), "zero": -0.0, "list": [float("inf")]}),),
    )
    rows = json.loads(verdict_json(msgspec.structs.replace(failed.verdict, invariants=(law,))))
    assert rows["invariants"][0]["witnesses"][0]["row"] == {"list": [None], "share": None, "zero": 0.0}


def test_a_written_verdict_reads_back_and_writes_the_same_bytes(failed: Made, tmp_path: Path) -> None:
    path = write_verdict(tmp_path / "verdict.json", failed.verdict)
    assert verdict_json(read_verdict(path)) == path.read_text()
    assert [file.name for file in tmp_path.iterdir()] == ["verdict.json"]


def test_a_verdict_cut_short_is_refused(failed: Made, tmp_path: Path) -> None:
    path = tmp_path / "verdict.json"
    path.write_text(verdict_json(failed.verdict)[:-40])
    with pytest.raises(BadFile, match="is not a verdict"):
        read_verdict(path)


def test_a_verdict_of_another_format_is_refused(failed: Made, tmp_path: Path) -> None:
    other = msgspec.structs.replace(failed.verdict, format="crashcart/verdict/v9")
    with pytest.raises(BadFile, match="v9"):
        read_verdict(write_verdict(tmp_path / "verdict.json", other))


def test_a_missing_verdict_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="No such file"):
        read_verdict(tmp_path / "verdict.json")


def test_a_folder_that_is_not_there_is_one_clear_error(failed: Made, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot write"):
        write_verdict(tmp_path / "gone" / "verdict.json", failed.verdict)
