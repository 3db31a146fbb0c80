"""Experiment × project × runtime → Plan: what would happen, to whom, for how long. Touches nothing."""

from crashcart.planning.plans import Request, front_door, plan

__all__ = ["Request", "front_door", "plan"]
