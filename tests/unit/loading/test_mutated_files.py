"""Whatever becomes of a project's files, what is made of them is a plan, or one message with file and line.

Each file is given so many other contents, no two alike, that those of YAML alone make 5,000 and more, the same in each
run. A campaign is as large as it is asked to be, and another one each time that it is given another number:

    CRASHCART_MUTATIONS=2000 python -m pytest tests/unit/loading/test_mutated_files.py --hypothesis-seed=1
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from zlib import crc32

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from crashcart.faults import registry
from crashcart.scaffold import init
from tests.unit.loading.inprocess import call
from tests.unit.loading.kinds import SETTINGS, experiment_with, name_of
from tests.unit.loading.mutations import Mutation, mutations
from tests.unit.loading.places import places
from tests.unit.loading.spoiling import ROOT, TINY, Bench, Tried, copied, files_of, problems

ASKED = int(os.environ.get("CRASHCART_MUTATIONS", "0"))
"""Of each file in a campaign."""
EACH_YAML, EACH_SQL = (ASKED, ASKED // 5) if ASKED else (65, 6)
DRAWN = 2
"""Times as many mutations are drawn: some come twice, and some leave the file as it was."""
PROCESSES = 3
SHOP = "reference"
IMAGES, DEFECTS, MY_IMAGES = "stack/images/images.yaml", "tests/defects/defects.yaml", "my-images.yaml"
BESIDE = {
    DEFECTS: (ROOT / DEFECTS).read_text(encoding="utf-8"),
    MY_IMAGES: "apiVersion: crashcart/v1\nkind: Images\nparts:\n  postgres: mirror.example/postgres:18\n",
}
"""Files of the shop's project that no plan reads."""
MANY = settings(
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate, Phase.shrink),
)


def _made(project: str, folder: Path) -> Path:
    if project == "tiny":
        return copied(TINY, folder)
    if project == "init":
        init(folder, "shopping")
        return folder
    copied(ROOT, folder)
    for file, text in BESIDE.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(text, encoding="utf-8")
    for kind in SETTINGS:
        (folder / "experiments" / f"{name_of(kind)}.yaml").write_text(experiment_with(kind), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def bench_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Bench]]:
    """By the project's name. Nothing is known of this machine's capacity, so that nobody looks at its neighbours."""
    benches: dict[str, Bench] = {}
    state = tmp_path_factory.mktemp("state")

    def bench(project: str) -> Bench:
        if project not in benches:
            folder = tmp_path_factory.mktemp(project).resolve() / "project"
            benches[project] = Bench(_made(project, folder))
            _import_all(benches[project])
        return benches[project]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(state))
        patch.setenv("XDG_CACHE_HOME", str(state))
        yield bench


def _import_all(bench: Bench) -> None:
    """What is imported when it is first used takes its time, once."""
    for file in files_of(bench.root)[:1]:
        whole = Mutation("as it was", (bench.root / file).read_bytes())
        assert [bench.plan(file, whole, *how).status for how in ((), ("--json",))] == [0, 0]
    assert call(("--project", str(bench.root), "list")).status == 0


def _all_files() -> list[tuple[str, str]]:
    template = ROOT / "crashcart" / "scaffold" / "template"
    found = [(SHOP, file) for file in files_of(ROOT)]
    found += [(SHOP, f"experiments/{name_of(kind)}.yaml") for kind in SETTINGS]
    found += [("tiny", file) for file in files_of(TINY)]
    return found + [("init", file.replace("myshop", "shopping")) for file in files_of(template)]


FILES = _all_files()
READ_BY_OTHERS = ((SHOP, IMAGES), ("tiny", IMAGES), (SHOP, MY_IMAGES), (SHOP, DEFECTS))
"""No plan reads these."""


def _each(file: str) -> int:
    return EACH_YAML if file.endswith(".yaml") else EACH_SQL


def _how(mutation: Mutation) -> tuple[str, ...]:
    """As JSON, to be read again, or now and then as people read it, which takes its time."""
    return () if len(mutation.data) % 16 == 0 else ("--json",)


def test_there_are_enough_of_them_and_a_fault_of_each_kind() -> None:
    yaml = [file for _, file in (*FILES, *READ_BY_OTHERS) if file.endswith(".yaml")]
    assert len(yaml) * EACH_YAML >= 5_000, "and each of them holds that it has tried so many"
    assert set(SETTINGS) == set(registry())


@pytest.mark.timeout(3_600 if ASKED else 120)
@pytest.mark.parametrize(("project", "file"), FILES, ids=lambda value: value)
def test_a_spoilt_file_makes_a_plan_or_one_message_with_file_and_line(
    bench_of: Callable[[str], Bench], project: str, file: str
) -> None:
    bench = bench_of(project)
    text = (bench.root / file).read_text(encoding="utf-8")

    def is_planned_or_refused(mutation: Mutation) -> None:
        ending = bench.plan(file, mutation, *_how(mutation))
        assert problems(bench.root, file, mutation, ending) == []

    _try_many(project, file, text, is_planned_or_refused)


def _try_many(project: str, file: str, text: str, check: Callable[[Mutation], None]) -> None:
    """As many other contents as the file is to be given, and no fewer."""
    tried = Tried(text.encode(), _each(file))

    @_seeded(f"{project}/{file}")
    @settings(MANY, max_examples=DRAWN * _each(file))
    @given(mutations(text))
    def holds(mutation: Mutation) -> None:
        tried.once(mutation, check)

    holds()
    _enough(tried)


def _enough(tried: Tried) -> None:
    assert len(tried.fine) == tried.enough, "too few were drawn that differ"


def test_what_is_wrong_with_one_of_them_is_told_and_so_is_that_there_were_too_few() -> None:
    def is_whole(mutation: Mutation) -> None:
        assert b"kind: Defects" in mutation.data, "that can't be read"

    with pytest.raises(AssertionError, match="that can't be read"):
        _try_many("no project", DEFECTS, BESIDE[DEFECTS], is_whole)
    with pytest.raises(AssertionError, match="too few were drawn that differ"):
        _enough(Tried(b"", enough=2, fine={b"a: 1"}))


def _seeded(words: str) -> Callable[..., Callable[..., None]]:
    """The same mutations in each run, others for each file; a campaign's are up to --hypothesis-seed."""
    return (lambda test: test) if ASKED else seed(crc32(words.encode()))


@st.composite
def _spoilt(draw: st.DrawFn, bench: Bench, ending: str = "") -> tuple[str, Mutation]:
    file = draw(st.sampled_from([file for file in files_of(bench.root) if ending in file]))
    return file, draw(mutations((bench.root / file).read_text(encoding="utf-8")))


@pytest.mark.parametrize("project", ["tiny", "init"])
def test_what_plan_refuses_run_refuses_with_the_same_words_and_starts_nothing(
    bench_of: Callable[[str], Bench], project: str
) -> None:
    bench = bench_of(project)

    @_seeded(project)
    @settings(MANY, max_examples=25)
    @given(_spoilt(bench))
    def is_refused_by_both(spoilt: tuple[str, Mutation]) -> None:
        file, mutation = spoilt
        planned = bench.plan(file, mutation)
        if planned.status != 2:
            return
        with bench.spoilt(file, mutation.data):
            _, experiment, *how = bench.arguments(file)
            ran = call(("--project", str(bench.root), "run", experiment, *how, "--yes"), start=False)
        assert (ran.status, ran.err, ran.touched) == (2, planned.err, ())

    is_refused_by_both()


@pytest.mark.parametrize("project", ["tiny", "init"])
def test_a_spoilt_experiment_is_listed_or_refused(bench_of: Callable[[str], Bench], project: str) -> None:
    bench = bench_of(project)

    @_seeded(project)
    @settings(MANY, max_examples=40)
    @given(_spoilt(bench, "experiments/"))
    def is_listed_or_refused(spoilt: tuple[str, Mutation]) -> None:
        file, mutation = spoilt
        with bench.spoilt(file, mutation.data):
            ending = call(("--project", str(bench.root), "list"))
        assert ending.touched == ()
        if ending.status == 0:
            assert Path(file).stem in ending.out
        else:
            assert problems(bench.root, file, mutation, ending) == []

    is_listed_or_refused()


@pytest.mark.timeout(3_600 if ASKED else 120)
@pytest.mark.parametrize(("project", "file"), READ_BY_OTHERS[:3], ids=lambda value: value)
def test_a_spoilt_list_of_images_is_read_or_refused(
    bench_of: Callable[[str], Bench], monkeypatch: pytest.MonkeyPatch, project: str, file: str
) -> None:
    bench = bench_of(project)
    shown, text = str(bench.root / file) if file == MY_IMAGES else file, (bench.root / file).read_text(encoding="utf-8")

    def is_read_or_refused(mutation: Mutation) -> None:
        ending = bench.call(shown, mutation, "images", "list")
        assert ending.status == 2
        if "no Docker engine answers" not in ending.err:
            assert problems(bench.root, shown, mutation, ending) == []

    monkeypatch.setenv("DOCKER_HOST", f"unix://{bench.root}/nobody-listens.sock")
    monkeypatch.setenv("CRASHCART_IMAGES", shown if file == MY_IMAGES else "")
    whole = bench.call(shown, Mutation("as it was", text.encode()), "images", "list")
    assert "no Docker engine answers" in whole.err
    _try_many(project, file, text, is_read_or_refused)


@pytest.mark.timeout(3_600 if ASKED else 120)
def test_spoilt_declarations_of_defects_are_read_or_refused_before_anything_is_begun(
    bench_of: Callable[[str], Bench],
) -> None:
    bench, text = bench_of(SHOP), BESIDE[DEFECTS]
    command = ("selftest", "--defects", str(bench.root / "tests" / "defects"), "--only", "no-such-defect")

    def is_read_or_refused(mutation: Mutation) -> None:
        ending = bench.call(DEFECTS, mutation, *command)
        assert (ending.status, ending.touched) == (2, ())
        if "there is no defect 'no-such-defect'" not in ending.err:
            assert problems(bench.root, DEFECTS, mutation, ending) == []

    whole = bench.call(DEFECTS, Mutation("as it was", text.encode()), *command)
    assert "there is no defect 'no-such-defect'" in whole.err
    _try_many(SHOP, DEFECTS, text, is_read_or_refused)


@pytest.mark.slow
@pytest.mark.parametrize("project", [SHOP, "tiny", "init"])
def test_a_process_of_its_own_says_the_same(bench_of: Callable[[str], Bench], project: str) -> None:
    bench = bench_of(project)

    @_seeded(project)
    @settings(MANY, max_examples=PROCESSES, phases=(Phase.generate,))
    @given(_spoilt(bench))
    def says_the_same(spoilt: tuple[str, Mutation]) -> None:
        file, mutation = spoilt
        here = bench.plan(file, mutation, "--json")
        with bench.spoilt(file, mutation.data):
            argv = [sys.executable, "-m", "crashcart", "--project", str(bench.root), *bench.arguments(file), "--json"]
            done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (here.status, here.out, here.err)

    says_the_same()


@pytest.mark.parametrize(
    ("project", "file"), [one for one in FILES if one[0] != SHOP and one[1].endswith(".yaml")], ids=lambda value: value
)
def test_a_value_of_a_type_that_fits_nowhere_is_named_with_its_own_line(
    bench_of: Callable[[str], Bench], project: str, file: str
) -> None:
    bench = bench_of(project)
    text = (bench.root / file).read_text(encoding="utf-8")
    for place in places(text).values:
        ended = "\n" if text[: place.end].endswith("\n") else ""
        spoilt = text[: place.start] + "[[[7]]]" + ended + text[place.end :]
        mutation = Mutation("a list of lists of lists", spoilt.encode())
        ending = bench.plan(file, mutation, "--json")
        assert problems(bench.root, file, mutation, ending) == []
        value_line = text.count("\n", 0, place.start) + 1
        key_line = text.count("\n", 0, len(text[: place.start].rstrip(" \n-"))) + 1
        if ending.status == 2:
            assert any(f" {file}:{line}: " in ending.err for line in {value_line, key_line}), (value_line, ending.err)
