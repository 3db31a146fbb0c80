"""A recording's files: written while a run goes on, turned into Parquet at its end, checked before they are judged."""

from crashcart.recorder.manifest import verify
from crashcart.recorder.reading import relation, unreadable_lines
from crashcart.recorder.writing import NotRecorded, Recorder

__all__ = ["NotRecorded", "Recorder", "relation", "unreadable_lines", "verify"]
