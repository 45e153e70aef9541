"""Files of schema 2, which symflow 0.1 wrote, and of schema 3 from before motions were judged on held-out images."""

from __future__ import annotations

from typing import Any

from symflow.runs import to_json

from .verdicts import UNTESTED, untold


def untested(content: dict[str, Any]) -> dict[str, Any]:
    """The content of schema 3 with a word for everything: it cannot be told. Bad content raises whatever it causes."""
    said = {"data": to_json(untold(UNTESTED)), "held_out": None}
    generators = []
    for g in content["generators"]:
        if not isinstance(g["valid"], bool) or not isinstance(g.get("learned", False), bool):
            raise TypeError("`valid` and `learned` of a generator must be true or false")
        generators.append({name: value for name, value in g.items() if name != "learned"} | {"valid": False} | said)
    colours = content["colours"]
    if colours is not None:
        colours = colours | {"generators": [g | said for g in colours["generators"]]}
    return content | {
        "generators": generators,
        "colours": colours,
        "verdicts": content["verdicts"] | {"data": said["data"]},
        "rank": 0,
        "trial": None,
        "motions": [],
        "affine": None,
    }


def upgraded(old: dict[str, Any]) -> dict[str, Any]:
    """The content of schema 3; bad content raises whatever it causes."""
    generators = [
        {name: value for name, value in g.items() if name != "moved"} | {"score": g["moved"]} for g in old["generators"]
    ]
    gap, setting = old["gap"], dict(old["setting"])
    found = {name: old[name] for name in ("affineness", "principal_angles", "closure")}
    kept = ("coordinates", "data", "controls", "affineness_uniform", "colours", "structure_constants", "seconds")
    return untested(
        {
            "verdicts": {},
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
    )
