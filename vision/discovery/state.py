"""The state that the stages of a discovery in images hand on."""

from __future__ import annotations

import os
from dataclasses import dataclass

from torch import Tensor

from symflow.discovery import DataVerdict
from symflow.fields import GridField

from ..data import Images, Statistics
from ..features import ImageNetwork, Whitened
from ..search import CheapestFields, Forms, motions
from ..validity import AffineClaim, Judged
from .entries import Colours, ComparedSpan, Trial
from .searches import Search


@dataclass(frozen=True)
class Request:
    """What was asked (`discover_images`)."""

    images: Images | str | os.PathLike[str]
    network: ImageNetwork | str | os.PathLike[str] | None
    second: ImageNetwork | str | os.PathLike[str] | None
    labels: bool
    generators: int
    mu: float
    locality: float
    flip: bool
    epochs: int
    seed: int


@dataclass(frozen=True)
class Pictures:
    """The images to learn from, those for the accuracy of the network, and those that are moved."""

    train: Images
    test: Images
    chosen: Images


@dataclass(frozen=True)
class Network:
    """The network whose features judge images in the search.

    Attributes:
        model: the network; without labels an untrained one, of which nothing but its size counts.
        statistics: that normalise images for it.
        accuracy: of the network on unseen images.
        pixels: the chosen images, normalised.
        second: another network that judges with it, where one is given.
        features: of the network, or of patches, whitened on these images; there from the stage of the form on.
    """

    model: ImageNetwork
    statistics: Statistics
    accuracy: float | None
    pixels: Tensor
    second: tuple[ImageNetwork, Statistics] | None = None
    features: Whitened | None = None
    name: str = ""


@dataclass(frozen=True)
class Form:
    """The quadratic forms of the images, and the cheapest fields under them."""

    search: Search
    forms: Forms
    fields: CheapestFields


@dataclass(frozen=True)
class Controls:
    """Spans from searches that lack something, and the features of untrained networks.

    Attributes:
        spans: by name.
        blanks: features of untrained networks.
        affine: the claim that the fields are affine; ``None`` for fewer than six.
    """

    spans: dict[str, ComparedSpan]
    blanks: list[Whitened]
    affine: AffineClaim | None


@dataclass(frozen=True)
class Checked:
    """The fields as they are read and checked.

    Attributes:
        readings: the names and closed forms.
        coefficients, fields, table: with the signs of the readings.
        angles: by finite flows, and out of step.
        turned: as of `Generator`.
    """

    readings: list[motions.Reading]
    coefficients: Tensor
    fields: Tensor
    table: GridField
    angles: tuple[list[float], list[float]]
    turned: list[list[float]]


@dataclass(frozen=True)
class Words:
    """What was said of each motion and change of colour, and on what it rests.

    Attributes:
        motions: the generators, then `result.AFFINE_MOTIONS`.
        colours: the changes of colour.
        data: of all generators together.
        trial: ``None`` where nothing was tested.
    """

    motions: list[Judged]
    colours: list[Judged]
    data: DataVerdict
    trial: Trial | None


@dataclass(frozen=True)
class State:
    """What was asked, and what the stages so far have found."""

    request: Request
    pictures: Pictures | None = None
    network: Network | None = None
    form: Form | None = None
    controls: Controls | None = None
    colours: Colours | None = None
    checked: Checked | None = None
    words: Words | None = None
