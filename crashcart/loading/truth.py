"""`stack/truth/`: books.yaml, exclusions.sql, follow-up.sql, shared/*.sql and invariants/*.sql → Truth."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from crashcart.loading.decode import decode
from crashcart.loading.experiments import check_head
from crashcart.loading.textfile import read_text
from crashcart.loading.yamltree import Path_, Tree, read_tree
from crashcart.model.errors import BadFile
from crashcart.model.truth import Invariant, Quiesce, Source, Truth
from crashcart.model.units import Duration, format_duration

_HEADER = re.compile(r"--\s*(title|why|minimum|rank):\s*(.*)")
_EXAMINED = re.compile(r"^--[ \t]*examined:[ \t]*$", re.MULTILINE)
_QUERY = re.compile(r"^[ \t]*(?!--)\S", re.MULTILINE)
"""A line that is more than a comment."""
_WHOLE = re.compile(r"[0-9]{1,9}")
_TAKEN = ("intents", "witnesses")
"""Tables of the judge's own."""
_QUIESCE_AT_MOST_S = 600.0


class _Quiesce(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    within: Duration
    zero: dict[str, Source]


class _Books(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    api_version: str
    kind: str
    sources: dict[str, Source]
    quiesce: _Quiesce
    max_unknown_share: float = 0.05
    average_order_cents: int = 0
    series: tuple[str, ...] = ()


def read_truth(folder: Path, shown_as: str) -> Truth:
    """The whole folder."""
    tree = read_tree(folder / "books.yaml", f"{shown_as}/books.yaml")
    check_head(tree, "Books")
    books = decode(tree, _Books)
    _check_books(tree, books)
    shared = {path.stem: read_text(path, f"{shown_as}/shared/{path.name}") for path in _queries(folder / "shared")}
    for name in shared:
        if name in (*books.sources, *_TAKEN):
            raise BadFile(
                f"{name} is a table already", file=f"{shown_as}/shared/{name}.sql", line=1, remedy="rename the file"
            )
    ranked = [_invariant(path, f"{shown_as}/invariants/{path.name}") for path in _queries(folder / "invariants")]
    return Truth(
        sources=books.sources,
        quiesce=Quiesce(float(books.quiesce.within), books.quiesce.zero),
        invariants=tuple(one for _, one in sorted(ranked, key=lambda ranked: (ranked[0], ranked[1].name))),
        exclusions_sql=_text(folder / "exclusions.sql", f"{shown_as}/exclusions.sql"),
        max_unknown_share=books.max_unknown_share,
        average_order_cents=books.average_order_cents,
        shared=shared,
        series=books.series,
        follow_up_sql=_text(folder / "follow-up.sql", f"{shown_as}/follow-up.sql"),
    )


def _check_books(tree: Tree, books: _Books) -> None:
    for base, sources in ((("sources",), books.sources), (("quiesce", "zero"), books.quiesce.zero)):
        for name, source in sources.items():
            path: Path_ = (*base, name)
            _check_source(tree, path, source, at_rest=base != ("sources",))
            if base == ("sources",) and name in _TAKEN:
                raise tree.error(path, f"{name} is a table already", "give it another name")
    if not 0 < books.quiesce.within <= _QUIESCE_AT_MOST_S:
        what = f"quiesce.within: {books.quiesce.within!r} is no time that a run can wait"
        raise tree.error(("quiesce", "within"), what, f"more than 0, at most {format_duration(_QUIESCE_AT_MOST_S)}")
    if not 0 <= books.max_unknown_share < 1:
        what = f"maxUnknownShare: {books.max_unknown_share:g} is not in [0, 1)"
        raise tree.error(("maxUnknownShare",), what, "the share of intents that may end unknown, such as 0.05")
    if books.average_order_cents < 0:
        raise tree.error(("averageOrderCents",), f"averageOrderCents: {books.average_order_cents} is below 0")


def _check_source(tree: Tree, path: Path_, source: Source, *, at_rest: bool) -> None:
    """A table is a query or a ledger; whether something is at rest is told by a query or a gauge."""
    other, keys = ("gauge", ("service", "gauge")) if at_rest else ("ledger", ("ledger",))
    given = {key for key in source.__struct_fields__ if key != "columns" and getattr(source, key)}
    if given not in ({"database", "sql"}, set(keys)):
        remedy = f"give database: and sql:, or {' and '.join(f'{key}:' for key in keys)}"
        raise tree.error(path, f"{path[-1]} is neither a query nor a {other}", remedy)


def _queries(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.sql"))


def _text(path: Path, shown_as: str) -> str:
    return read_text(path, shown_as) if path.exists() else ""


def _invariant(path: Path, shown_as: str) -> tuple[int, Invariant]:
    """Its rank (the worst to find broken is 1) and the invariant."""
    text = read_text(path, shown_as)
    head, lines = _head(text, shown_as)
    parts = _EXAMINED.split(text)
    if len(parts) != 2 or not parts[1].strip():
        found = "no second query" if len(parts) < 3 else "a third query"
        line = text.count("\n", 0, len(text.rstrip())) + 1
        remedy = "after one line `-- examined:`, count what was looked at"
        raise BadFile(found, file=shown_as, line=line, remedy=remedy)
    if "title" not in head:
        raise BadFile("it has no title", file=shown_as, line=1, remedy="begin with `-- title: …`")
    if not _QUERY.search(parts[0]):
        remedy = "above `-- examined:`, select what must not be"
        raise BadFile("no query", file=shown_as, line=text.count("\n", 0, len(parts[0])) + 1, remedy=remedy)
    minimum, rank = head.get("minimum", "1"), head.get("rank", "99")
    if not _WHOLE.fullmatch(minimum) or int(minimum) < 1:
        what = f"minimum: {minimum!r} is not a number from 1 up"
        raise BadFile(what, file=shown_as, line=lines["minimum"], remedy="write `-- minimum: 1`, or more")
    if not _WHOLE.fullmatch(rank):
        remedy = "1 is the worst to find broken"
        raise BadFile(f"rank: {rank!r} is not a number", file=shown_as, line=lines["rank"], remedy=remedy)
    invariant = Invariant(
        path.stem, head["title"], head.get("why", ""), parts[0].strip(), parts[1].strip(), int(minimum)
    )
    return int(rank), invariant


def _head(text: str, shown_as: str) -> tuple[dict[str, str], dict[str, int]]:
    """What the comment on top declares, and on which line."""
    head: dict[str, str] = {}
    lines: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        found = _HEADER.fullmatch(line.strip())
        if found is None:
            if line.startswith("--") and head and not _EXAMINED.match(line):
                last = list(head)[-1]
                head[last] += " " + line.removeprefix("--").strip()
                continue
            break
        if found[1] in head:
            raise BadFile(f"{found[1]}: stands here twice", file=shown_as, line=number, remedy="keep one of them")
        head[found[1]], lines[found[1]] = found[2].strip(), number
    return head, lines
