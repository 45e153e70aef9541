"""Random images, and calls that must be refused in a sentence."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from symflow.errors import UserError
from symflow.vision.data.images import Images

RNG = np.random.default_rng(0)


def pixels(count, channels=3, height=32, width=32):
    return RNG.integers(0, 256, (count, channels, height, width), dtype=np.uint8)


def random_images(count=60, classes=3):
    labels = torch.arange(count) % classes
    return Images(torch.from_numpy(pixels(count, 3, 8, 8)), labels, tuple("abcdefgh"[:classes]), "random")


def refused(sentence, call, *args):
    with pytest.raises(UserError) as caught:
        call(*args)
    text = str(caught.value)
    assert sentence in text
    assert "\n" not in text
