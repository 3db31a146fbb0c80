"""The command line. Thin: each command opens a project, asks one part of the house, and prints what it says."""

# Commands are listed in the order of these imports: the order in which one needs them.
from crashcart.cli.top import cli, main  # isort: skip
from crashcart.cli import experiments  # noqa: F401  # isort: skip
from crashcart.cli import shelf  # noqa: F401  # isort: skip
from crashcart.cli import game_day  # noqa: F401  # isort: skip
from crashcart.cli import stacks  # noqa: F401  # isort: skip
from crashcart.cli import images  # noqa: F401  # isort: skip
from crashcart.cli import export  # noqa: F401  # isort: skip
from crashcart.cli import dashboards  # noqa: F401  # isort: skip
from crashcart.cli import projects  # noqa: F401  # isort: skip
from crashcart.cli import selftest  # noqa: F401  # isort: skip
from crashcart.cli import machine  # noqa: F401  # isort: skip

__all__ = ["cli", "main"]
