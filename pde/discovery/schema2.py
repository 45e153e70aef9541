"""Files of schema 2, which symflow 0.1 wrote, as files of schema 3."""

from __future__ import annotations

from typing import Any

from symflow.discovery import DataVerdict, Verdicts
from symflow.runs import to_json

from ..equations import Equation
from ..trajectories import MISLABELLED
from .verdicts import domain_verdict, equation_verdict, superposed


def upgraded(old: dict[str, Any]) -> dict[str, Any]:
    """The content of schema 3; bad content raises whatever it causes."""
    levels, neural, text = old["levels"], old["neural"], old["equation"]
    space = Equation(text["text"], **text["parameters"]).space
    family, proved = old["superposition"], all(g["verified"] is True for g in old["generators"])
    data = old["data"]
    said = _data_verdict(data["samples"], data["residual"])
    return {
        "verdicts": to_json(
            Verdicts(
                equation_verdict(proved, levels["equation"], levels["stable"]),
                domain_verdict(old["domain"], proved, levels["domain"], levels["lost"]),
                said,
            )
        ),
        "generators": [_generator(g, said) for g in old["generators"]],
        "families": [] if family is None else [to_json(superposed(space, family["factor"], family["condition"]))],
        "equation": {"text": text["text"], "parameters": text["parameters"]},
        "name": text["name"],
        "observed": levels["data"],
        "truth": old["truth"]["principal_angles"] if old["truth"]["known"] else None,
        "neural": neural
        if neural is None
        else {
            "spectrum": {name: neural[name] for name in ("values", "rank", "resolution")},
            **{n: neural[n] for n in ("scores", "principal_angles", "agreement", "closure", "jacobi")},
        },
        "samples": data["samples"],
        "residual": data["residual"],
        "symflow": "0.1.0",
        "created": "",
        **{
            name: old[name]
            for name in [
                "coordinates",
                "domain",
                "rank",
                "structure_constants",
                "algebra",
                "certificates",
                "identified",
                "nullspace",
                "seed",
                "seconds",
            ]
        },
    }


def _generator(g: dict[str, Any], said: DataVerdict | None) -> dict[str, Any]:
    """With *valid* as it is meant now: what is proved, where the data solve the equation."""
    if not isinstance(g["valid"], bool):
        raise TypeError(f"`valid` of a generator must be true or false, got {g['valid']!r}")
    return g | {"valid": g["verified"] is True and (said is None or said.word == "measured")}


def _data_verdict(samples: int, residual: float | None) -> DataVerdict | None:
    """Of data whose only check was a residual with u_t by differences, those that certainly failed it being refused."""
    if not samples:
        return None
    if residual is None:
        return DataVerdict("cannot be told", "there are too few output times to take derivatives in time from the data")
    if residual > MISLABELLED:
        reason = "the data are too coarse or too noisy to tell whether they solve the equation"
        return DataVerdict("cannot be told", reason, residual)
    return DataVerdict("measured", "relative residual of the equation on the data, u_t by differences", residual)
