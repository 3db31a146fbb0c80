"""`stack/truth/`: books.yaml, exclusions.sql, follow-up.sql, shared/*.sql and invariants/*.sql → Truth."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from crashcart.loading.decode import decode
from crashcart.loading.experiments import check_head
from crashcart.loading.yamltree import read_tree
from crashcart.model.errors import BadFile
from crashcart.model.truth import Invariant, Quiesce, Source, Truth
from crashcart.model.units import Duration

_HEADER = re.compile(r"--\s*(title|why|minimum|rank):\s*(.*)")
_EXAMINED = re.compile(r"^--\s*examined:\s*$", re.MULTILINE)


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


def read_truth(folder: Path, shown_as: str) -> Truth:
    """The whole folder."""
    tree = read_tree(folder / "books.yaml", f"{shown_as}/books.yaml")
    check_head(tree, "Books")
    books = decode(tree, _Books)
    for section, sources in (("sources", books.sources), ("zero", books.quiesce.zero)):
        for name, source in sources.items():
            path = ("sources", name) if section == "sources" else ("quiesce", "zero", name)
            if bool(source.ledger) == bool(source.database and source.sql):
                raise tree.error(path, f"{name} is neither a query nor a ledger", "give database: and sql:, or ledger:")
    shared = {path.stem: path.read_text(encoding="utf-8") for path in sorted((folder / "shared").glob("*.sql"))}
    for name in shared:
        if name in (*books.sources, "intents"):
            raise BadFile(
                f"{name} is a table already", file=f"{shown_as}/shared/{name}.sql", line=None, remedy="rename the file"
            )
    ranked = [_invariant(path, f"{shown_as}/invariants/{path.name}") for path in (folder / "invariants").glob("*.sql")]
    return Truth(
        sources=books.sources,
        quiesce=Quiesce(float(books.quiesce.within), books.quiesce.zero),
        invariants=tuple(one for _, one in sorted(ranked, key=lambda ranked: (ranked[0], ranked[1].name))),
        exclusions_sql=_text(folder / "exclusions.sql"),
        max_unknown_share=books.max_unknown_share,
        average_order_cents=books.average_order_cents,
        shared=shared,
        follow_up_sql=_text(folder / "follow-up.sql"),
    )


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _invariant(path: Path, shown_as: str) -> tuple[int, Invariant]:
    """Its rank (the worst to find broken is 1) and the invariant."""
    text = path.read_text(encoding="utf-8")
    head: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        found = _HEADER.fullmatch(line.strip())
        if found is None:
            if line.startswith("--") and head and not _EXAMINED.match(line):
                last = list(head)[-1]
                head[last] += " " + line.removeprefix("--").strip()
                continue
            break
        if found[1] in head:
            raise BadFile(f"{found[1]}: stands here twice", file=shown_as, line=number)
        head[found[1]] = found[2].strip()
    parts = _EXAMINED.split(text)
    if len(parts) != 2 or not parts[1].strip():
        raise BadFile(
            "no second query", file=shown_as, line=None, remedy="after a line `-- examined:`, count what was looked at"
        )
    if "title" not in head:
        raise BadFile("it has no title", file=shown_as, line=1, remedy="begin with `-- title: …`")
    minimum = head.get("minimum", "1")
    if not minimum.isdigit() or int(minimum) < 1:
        raise BadFile(f"minimum: {minimum!r} is not a number from 1 up", file=shown_as, line=1)
    rank = head.get("rank", "99")
    if not rank.isdigit():
        raise BadFile(f"rank: {rank!r} is not a number", file=shown_as, line=1, remedy="1 is the worst to find broken")
    invariant = Invariant(
        path.stem, head["title"], head.get("why", ""), parts[0].strip(), parts[1].strip(), int(minimum)
    )
    return int(rank), invariant
