"""Files of schema 2, which symflow 0.1 wrote, as files of schema 3."""

from __future__ import annotations

from typing import Any

from symflow.runs import to_json

from .verdicts import data_verdict, generator_verdict


def with_learned(g: dict[str, Any]) -> dict[str, Any]:
    """A generator with what was called *valid* by its present name, learned."""
    return g | {"learned": g["valid"], "valid": False, "data": to_json(generator_verdict(g["score"]))}


def upgraded(old: dict[str, Any]) -> dict[str, Any]:
    """The content of schema 3; bad content raises whatever it causes."""
    generators = []
    for g in old["generators"]:
        if not isinstance(g["valid"], bool):
            raise TypeError(f"`valid` of a generator must be true or false, got {g['valid']!r}")
        rest = {name: value for name, value in g.items() if name != "moved"}
        generators.append(with_learned(rest | {"score": g["moved"]}))
    learned, gap, setting = sum(g["learned"] for g in generators), old["gap"], dict(old["setting"])
    found = {name: old[name] for name in ("affineness", "principal_angles", "closure")}
    kept = ("coordinates", "data", "controls", "affineness_uniform", "colours", "structure_constants", "seconds")
    return {
        "verdicts": {"data": to_json(data_verdict(learned, len(generators)))},
        "rank": gap["rank"],
        "generators": generators,
        "seed": setting.pop("seed"),
        "symflow": "0.1.0",
        "created": "",
        "network": old["network"]["architecture"],
        "accuracy": old["network"]["accuracy"],
        "setting": setting,
        "found": {"values": old["lambda"]} | found,
        "gap": [gap["rank"], gap["quotient"]],
        **{name: old[name] for name in kept},
    }
