"""What Locust is given. `locust -f loadtests/locustfile.py --host http://127.0.0.1:PORT` drives a shop that is up."""

from __future__ import annotations

from pathlib import Path

from crashcart.loadkit.assignment import Settings
from crashcart.loadkit.locusts import OpenLoopUser
from crashcart.model.load import LoadProgram
from loadtests.mix import read_mix
from loadtests.shoppers import Shoppers


class Shopper(OpenLoopUser):
    """The shop's shoppers, all of them."""

    load_file = Path(__file__).with_name("load.yaml")

    @classmethod
    def behaviour(cls, program: LoadProgram, settings: Settings) -> Shoppers:
        """As `mix` in load.yaml declares, with what this run changes of it."""
        return Shoppers(read_mix(program, settings.mix), tuple(program.cohorts["business_line"]))
