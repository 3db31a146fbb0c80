"""Experiment × project × runtime → Plan: what would happen, to whom, for how long. Touches nothing."""

from crashcart.planning.plans import front_door, plan
from crashcart.planning.request import Request

__all__ = ["Request", "front_door", "plan"]
