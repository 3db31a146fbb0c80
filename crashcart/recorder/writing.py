"""Writing while a run goes on: one JSON object a line, each with the kernel before the call returns."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import msgspec

from crashcart.model.errors import CrashcartError
from crashcart.model.recording import FILES, Event, FileEntry, Machine, Manifest, ProbeSample, SeriesSample
from crashcart.recorder.converting import convert
from crashcart.recorder.manifest import Ended, list_files, write_manifest

_MANY = 4096
"""Samples written at once."""


class NotRecorded(CrashcartError):
    """The recording can't be written. A run that nobody can judge is not worth going on with."""


@contextmanager
def _written(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        what = f"the recording can't be written: {error.strerror or error}"
        raise NotRecorded(what, where=str(path), remedy="make room, or name another folder with --out") from error


class Recorder:
    """The files of one run. Thread-safe. Every method raises NotRecorded where the disk is full, `probe` excepted.

    Samples come from threads that have nobody to tell: of one that can't be kept, the next event or the end speaks.
    """

    def __init__(self, directory: Path) -> None:
        """`directory` exists. NotRecorded where it cannot be written to."""
        self._directory = directory
        self._lock = threading.Lock()
        self._files: dict[str, int] = {}
        self._lost: NotRecorded | None = None
        self._encoder = msgspec.json.Encoder(enc_hook=str)
        # An empty events file says that a run began here, also where nothing came of it.
        self._append("events.jsonl", b"")

    def event(self, name: str, t: float, **data: object) -> None:
        """One line of `events.jsonl`; `t` in seconds from t0. The wall clock is noted beside it, for people."""
        wall = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._append(FILES["events"], self._line(Event(round(t, 4), wall, name, data)))
        self._own_up()

    def probe(self, sample: ProbeSample) -> None:
        """One line of `evidence.jsonl`. Never raises: where it can't be written, the next event or `finish` does."""
        try:
            self._append("evidence.jsonl", self._line(sample))
        except NotRecorded as error:
            self._lost = error

    def series(self, samples: Sequence[SeriesSample]) -> None:
        """Raw samples. Of a run of equal values the first and the last are kept: no step of a counter is lost."""
        lines = [self._line(sample) for sample in thinned(samples)]
        for start in range(0, len(lines), _MANY):
            self._append("series.jsonl", b"".join(lines[start : start + _MANY]))

    def finish(
        self,
        *,
        run_id: str,
        experiment: str,
        started_wall: str,
        finished_wall: str,
        ended: Ended,
        crashcart_version: str,
        commit: str,
        machine: Machine,
    ) -> Manifest:
        """Turn JSONL into Parquet and write the manifest, last. Nothing may be recorded afterwards.

        Raises NotRecorded where that can't be written.
        """
        import duckdb

        self.close()
        self._own_up()
        with _written(self._directory):
            try:
                rows = convert(self._directory)
            except duckdb.Error as error:
                what = f"what was recorded can't be read again: {error}"
                raise NotRecorded(
                    what, where=str(self._directory), remedy="run it again, on a disk that keeps files whole"
                ) from error
            files: tuple[FileEntry, ...] = list_files(self._directory, rows)
        manifest = Manifest(
            format="crashcart/recording/v1",
            run_id=run_id,
            experiment=experiment,
            started_wall=started_wall,
            finished_wall=finished_wall,
            ended=ended,
            crashcart_version=crashcart_version,
            commit=commit,
            machine=machine,
            files=files,
        )
        with _written(self._directory):
            write_manifest(self._directory, manifest)
        return manifest

    def close(self) -> None:
        """Close what is open. Idempotent."""
        with self._lock:
            for descriptor in self._files.values():
                os.close(descriptor)
            self._files.clear()

    def _own_up(self) -> None:
        """Raise what was kept back, once."""
        lost, self._lost = self._lost, None
        if lost is not None:
            raise lost

    def _line(self, record: object) -> bytes:
        return self._encoder.encode(record) + b"\n"

    def _append(self, name: str, content: bytes) -> None:
        path = self._directory / name
        with self._lock, _written(path):
            if name not in self._files:
                self._files[name] = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
            view = memoryview(content)
            while view:
                view = view[os.write(self._files[name], view) :]


def thinned(samples: Iterable[SeriesSample]) -> Iterator[SeriesSample]:
    """Of each series' runs of equal values, the first and the last sample."""
    series: dict[tuple[str, str], list[SeriesSample]] = {}
    for sample in samples:
        series.setdefault((sample.metric, sample.labels), []).append(sample)
    for ordered in series.values():
        ordered.sort(key=lambda sample: sample.t)
        yield ordered[0]
        kept = ordered[0]
        for previous, sample in pairwise(ordered):
            if sample.value != previous.value:
                if kept is not previous:
                    yield previous
                yield sample
                kept = sample
        if kept is not ordered[-1]:
            yield ordered[-1]
