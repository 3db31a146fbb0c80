"""In which order a family of processes is killed."""

from __future__ import annotations

from crashcart.runtimes.ending import parents_first
from crashcart.runtimes.procfs import Process


def _row(pid: int, parent: int) -> Process:
    return Process(pid, "postgres", "S", parent, pid, pid, 0.0)


def test_no_parent_outlives_its_children() -> None:
    table = {row.pid: row for row in (_row(3, 4), _row(4, 9), _row(9, 1), _row(5, 9), _row(7, 2))}
    order = parents_first({3, 4, 5, 7, 9}, table)
    assert set(order) == {3, 4, 5, 7, 9}
    assert order.index(9) < order.index(4) < order.index(3)
    assert order.index(9) < order.index(5)


def test_who_has_gone_or_is_said_to_be_his_own_ancestor_is_killed_all_the_same() -> None:
    table = {row.pid: row for row in (_row(3, 4), _row(4, 3))}
    assert set(parents_first({3, 4, 8}, table)) == {3, 4, 8}
