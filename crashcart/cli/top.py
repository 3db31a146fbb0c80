"""The group that all commands hang on, how a process ends, and what commands share."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import FrameType
from typing import IO, TYPE_CHECKING, cast

import click

import crashcart
from crashcart.model.errors import CrashcartError, ExitStatus
from crashcart.outlet import last_word

if TYPE_CHECKING:
    from rich.console import Console

    from crashcart.loading import Project


class _Commands(click.Group):
    """Commands in the order in which one needs them, and the exit statuses below."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """As they stand in this file."""
        return list(self.commands)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit status: 0 pass · 1 fail · 2 usage or bad file · 3 inconclusive · 4 guardrail abort · "
    "5 something could not be undone · 70 an error of our own · 130 interrupted",
)
@click.version_option(crashcart.__version__, prog_name="crashcart")
@click.option(
    "--project",
    "project_path",
    type=click.Path(path_type=Path),
    default=Path(),
    help="Folder with stack/, experiments/ and loadtests/.  [default: here]",
)
@click.pass_context
def cli(ctx: click.Context, project_path: Path) -> None:
    """Chaos engineering with a verdict: a shop under load, faults injected, SLOs and books judged."""
    ctx.obj = project_path


def main() -> None:
    """The console script. Every ending has an exit status that means one thing."""
    keys = _Keys()
    try:
        status = cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(ExitStatus.INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(ExitStatus.USAGE)
    except CrashcartError as error:
        last_word(_visible(f"crashcart: {error}"))
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        sys.exit(ExitStatus.INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(ExitStatus.OURS)
    except Exception as error:  # noqa: BLE001 - the top of the process: whatever it is, say so in one line and keep the trace
        if keys.pressed:  # DuckDB makes an error of its own of a Ctrl-C
            sys.exit(ExitStatus.INTERRUPTED)
        last_word(_visible(f"crashcart: an error of our own: {error!r}\n  {_keep_trace()}"))
        sys.exit(ExitStatus.OURS)
    sys.exit(status if isinstance(status, int) else ExitStatus.PASS)


class _Keys:
    """Remembers that Ctrl-C was pressed, whatever error becomes of it on its way up."""

    def __init__(self) -> None:
        self.pressed = False
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # who runs us may have it ignored
            signal.signal(signal.SIGINT, self._on_press)

    def _on_press(self, number: int, frame: FrameType | None) -> None:
        self.pressed = True
        signal.default_int_handler(number, frame)


def _visible(text: str) -> str:
    from crashcart.reporting.words import visible

    return visible(text)


def _keep_trace() -> str:
    from crashcart.tools import cache_dir

    path = cache_dir() / "last-error.txt"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(traceback.format_exc(), encoding="utf-8")
    except OSError:
        return "its trace could not be written"
    return f"please report it with the trace in {path}"


def project_of(ctx: click.Context) -> Project:
    """The project that `--project` names. UsageError where there is none."""
    from crashcart.loading import open_project

    return open_project(ctx.obj)


def console_for(*, stderr: bool = False) -> Console:
    """Where text for people goes. Whatever it says, in whatever table: control characters in it are not obeyed."""
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment

    from crashcart.cli.screen import Screen

    class Ours(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # not SystemExit(1): that would say that something failed its objective

        def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
            for piece in super().render(renderable, options):
                # what moves the cursor of our own tables is marked as control
                yield piece if piece.control else Segment(_visible(piece.text), piece.style)

    screen = cast("IO[str]", Screen(sys.stderr if stderr else sys.stdout))
    return Ours(file=screen, stderr=stderr, highlight=False)
