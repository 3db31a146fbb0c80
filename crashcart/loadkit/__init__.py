"""What any project's locustfile builds on: an open-loop, seeded, honest load. It lives in the load process alone.

Reading order: `assignment` (what this run is), `streams` and `arrivals` (who comes when), `shoppers` (who they are),
`desk` (how a session talks to the shop and is written down; `answers`, `retries` and `transport` below it),
`intents`, `pace` and `metrics` (the records), `workers` and `run` (the whole thing), `control` and `seat` (how the
harness steers it), `locusts` (Locust's side).
"""
