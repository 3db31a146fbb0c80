"""The JSON Schema of an experiment, for editors: made from the model and the fault kinds that are there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from crashcart.model.experiment import Experiment
from crashcart.model.units import DURATION_SCHEMA, Duration
from crashcart.ports import FaultKind


def experiment_schema(faults: Mapping[str, FaultKind]) -> dict[str, Any]:
    """JSON Schema 2020-12; in it a fault's kind is a key, as in the files."""
    (reference,), definitions = msgspec.json.schema_components(
        [Experiment], schema_hook=_scalar, ref_template="#/$defs/{name}"
    )
    settings = [kind.settings_type for kind in faults.values()]
    references, more = msgspec.json.schema_components(settings, schema_hook=_scalar, ref_template="#/$defs/{name}")
    definitions = {**definitions, **more}
    definitions.pop("FaultSpec", None)
    kinds = [
        {
            "title": name,
            "description": kind.summary,
            "properties": {"at": DURATION_SCHEMA, "for": DURATION_SCHEMA, name: settings_reference},
            "required": [name, "for"],
            "additionalProperties": False,
        }
        for (name, kind), settings_reference in zip(faults.items(), references, strict=True)
    ]
    definitions["Experiment"]["properties"]["faults"] = {"type": "array", "items": {"type": "object", "oneOf": kinds}}
    definitions["Experiment"]["properties"]["apiVersion"] = {"const": "crashcart/v1"}
    definitions["Experiment"]["properties"]["kind"] = {"const": "Experiment"}
    schema = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": schema, "title": "crashcart experiment", **reference, "$defs": definitions}


def schema_text(faults: Mapping[str, FaultKind]) -> str:
    """As the file `experiments/experiment.schema.json` has it."""
    plain = msgspec.json.encode(experiment_schema(faults), order="deterministic")
    return msgspec.json.format(plain, indent=1).decode() + "\n"


def _scalar(kind: type) -> dict[str, Any]:
    if kind is Duration:
        return dict(DURATION_SCHEMA)
    raise NotImplementedError(kind)
