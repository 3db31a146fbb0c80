"""The JSON Schema of an experiment, for editors: made from the model and the fault kinds that are there."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from crashcart.loading.faultkinds import NamedKind, Parameter
from crashcart.model.experiment import Experiment
from crashcart.model.units import DURATION_SCHEMA, Duration
from crashcart.ports import FaultKind

_JSON_TYPES = {"number": "number", "whole": "integer", "flag": "boolean"}


def experiment_schema(
    faults: Mapping[str, FaultKind], named: Mapping[str, NamedKind] = MappingProxyType({})
) -> dict[str, Any]:
    """JSON Schema 2020-12; in it a fault's kind, generic or a project's own, is a key, as in the files."""
    (reference,), definitions = msgspec.json.schema_components(
        [Experiment], schema_hook=_scalar, ref_template="#/$defs/{name}"
    )
    settings = [kind.settings_type for kind in faults.values()]
    references, more = msgspec.json.schema_components(settings, schema_hook=_scalar, ref_template="#/$defs/{name}")
    definitions = {**definitions, **more}
    definitions.pop("FaultSpec", None)
    kinds = [
        _fault(name, kind.summary, settings_reference)
        for (name, kind), settings_reference in zip(faults.items(), references, strict=True)
    ]
    kinds += [_fault(name, kind.summary, _parameters(kind)) for name, kind in named.items()]
    definitions["Experiment"]["properties"]["faults"] = {"type": "array", "items": {"type": "object", "oneOf": kinds}}
    definitions["Experiment"]["properties"]["apiVersion"] = {"const": "crashcart/v1"}
    definitions["Experiment"]["properties"]["kind"] = {"const": "Experiment"}
    schema = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": schema, "title": "crashcart experiment", **reference, "$defs": definitions}


def schema_text(faults: Mapping[str, FaultKind], named: Mapping[str, NamedKind] = MappingProxyType({})) -> str:
    """As the file `experiments/experiment.schema.json` has it."""
    plain = msgspec.json.encode(experiment_schema(faults, named), order="deterministic")
    return msgspec.json.format(plain, indent=1).decode() + "\n"


def _fault(name: str, summary: str, settings: dict[str, Any]) -> dict[str, Any]:
    return {
        "title": name,
        "description": summary,
        "properties": {"at": DURATION_SCHEMA, "for": DURATION_SCHEMA, name: settings},
        "required": [name, "for"],
        "additionalProperties": False,
    }


def _parameters(kind: NamedKind) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: _parameter(parameter) for name, parameter in kind.parameters.items()},
        "required": [name for name, parameter in kind.parameters.items() if parameter.required],
        "additionalProperties": False,
    }


def _parameter(parameter: Parameter) -> dict[str, Any]:
    """Limits of durations are the loader's alone: JSON Schema can't compare them."""
    schema: dict[str, Any] = {"type": _JSON_TYPES.get(parameter.type, "string")}
    if parameter.type == "duration":
        schema = dict(DURATION_SCHEMA)
    word = {"enum": list(parameter.one_of)} if parameter.one_of else {}
    if parameter.type == "list":
        items = {"type": "string", **word}
        schema = {"anyOf": [{"type": "array", "items": items, "minItems": 1}, {"type": "null"}]}
    else:
        schema |= word
    if schema.get("type") in ("number", "integer"):
        limits = {"minimum": parameter.at_least, "maximum": parameter.at_most}
        schema |= {key: value for key, value in limits.items() if value is not None}
    if parameter.description:
        schema["description"] = parameter.description
    if not parameter.required:
        schema["default"] = parameter.default
    return schema


def _scalar(kind: type) -> dict[str, Any]:
    if kind is Duration:
        return dict(DURATION_SCHEMA)
    raise NotImplementedError(kind)
