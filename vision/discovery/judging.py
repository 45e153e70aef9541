"""The stage that gives every motion and change of colour its word, on images that took no part in the search."""

from __future__ import annotations

from dataclasses import replace

import torch

from symflow.discovery import Context, known
from symflow.fields import SymbolicField

from ..classifiers import classifiers
from ..search import MOTIONS, PLANE
from ..validity import (
    LEAST,
    ClassOutputs,
    Judge,
    Judged,
    Products,
    RidgeClassifier,
    at_least,
    by_agreement,
    by_coherence,
    chosen,
    joint_responses,
)
from .entries import AFFINE_MOTIONS, Trial
from .state import State, Words
from .verdicts import BY_AGREEMENT, BY_COHERENCE, data_verdict, untold


def judge(state: State, context: Context) -> State:
    """Every motion, every affine one, and every change of colour."""
    asked, checked = state.request, known(state.checked)
    matrices = torch.tensor([] if state.colours is None else [g.matrix for g in state.colours.generators])
    motions = asked.generators + len(AFFINE_MOTIONS)
    test = known(state.pictures).test
    held, images = chosen(test, asked.seed)
    few = "" if images else f"{len(test)} images were held out, and at least {LEAST} are needed"
    judges = few or _judges(state)
    if isinstance(judges, str):
        nothing = untold(judges)
        untested: list[Judged] = [(nothing, None)] * (motions + len(matrices))
        return replace(state, words=Words(untested[:motions], untested[motions:], nothing, None))
    named = SymbolicField(PLANE, [MOTIONS[name] for name in AFFINE_MOTIONS])(known(state.form).search.basis.points)
    fields = torch.cat([checked.fields, named], 1)

    def products(*judges: Judge) -> Products:
        return Products.of(joint_responses(judges, held, fields, matrices, asked.seed), asked.locality)

    found = slice(asked.generators)
    own = products(*judges)
    number, controls = at_least(own.of_fields(found)), []
    if asked.labels:
        said, rule = by_agreement(own), BY_AGREEMENT
    else:
        statistics = known(state.network).statistics
        blank = [products(Judge("untrained", f, statistics)) for f in known(state.controls).blanks]
        said, rule = by_coherence(own, blank), BY_COHERENCE
        controls = [at_least(p.of_fields(found)) for p in blank]
        number = number if number > max(controls) else 0  # no more than there are without learning
    names = [" ".join(filter(None, (f"V{k + 1}", reading.motion))) for k, reading in enumerate(checked.readings)]
    verdict = data_verdict([word for word, _ in said[found]], names, number, images, rule)
    trial = Trial(images, [j.name for j in judges], [j.accuracy for j in judges], number, controls)
    return replace(state, words=Words(said[:motions], said[motions:], verdict, trial))


def _judges(state: State) -> list[Judge] | str:
    """Without labels the features; else the network and a second one that was trained apart, or why there is none."""
    asked, pictures, own = state.request, known(state.pictures), known(state.network)
    if not asked.labels:
        return [Judge(own.name, known(own.features), own.statistics)]
    classes = own.model.arguments["classes"]
    first = Judge(own.name, ClassOutputs(own.model), own.statistics, own.accuracy)
    if own.second is not None:
        model, statistics = own.second
        accuracy = classifiers.accuracy(model, pictures.test, statistics)
        return [first, Judge(type(model).__name__, ClassOutputs(model), statistics, accuracy)]
    if classes != len(pictures.train.classes):
        theirs = len(pictures.train.classes)
        return f"the network has {classes} classes and the images {theirs}: `second` must be given to judge with it"
    ridge = RidgeClassifier.of(pictures.train, own.statistics, asked.seed)
    accuracy = ridge.accuracy(pictures.test, own.statistics)
    return [first, Judge("ridge classifier of patches", ClassOutputs(ridge), own.statistics, accuracy)]
