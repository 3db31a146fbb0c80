"""Plan → Recording: the only place that touches the world, and only through ports."""

from crashcart.running.parts import Parts, Prepared
from crashcart.running.run import run

__all__ = ["Parts", "Prepared", "run"]
