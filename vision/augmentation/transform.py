"""An augmentation where a transform of ``torchvision.transforms.v2`` would stand; torchvision itself is not needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from PIL.Image import Image, fromarray, frombytes
from torch import Tensor, nn

from symflow.errors import UserError

from .augmentation import ColourAugment, GeneratorAugment

IMAGE, MASK, PASSED = "Image", "Mask", "KeyPoints BoundingBoxes Video"  # classes of torchvision.tv_tensors


class Transform(nn.Module):
    """Moves images and what goes with them, in any structure, as transforms of ``torchvision.transforms.v2`` do.

    What is given may be one image, several arguments, or a tuple, list or dictionary of anything. One combination of
    generators is drawn a call, and all images and masks in it are moved alike, so that a mask still lies on its image;
    a batch ``[..., C, H, W]`` counts as one. Images are pictures of Pillow's, floating-point tensors ``[..., C, H, W]``
    or such of whole numbers up to 255 (``uint16``: to 65535), arrays ``[H, W]`` or ``[H, W, C]``, and torchvision's
    ``Image``; masks its ``Mask``, whose labels stay labels. Of plain tensors the first of three and more dimensions is
    an image, unless there is another kind of image; all else goes through as it is. Types are kept, but for pictures
    with a palette, which come back in the colours it stands for.

    Args:
        augment: `GeneratorAugment` or `ColourAugment`; the latter leaves masks as they are.

    Raises:
        UserError: there are boxes, key points or a video, which would have to move too; or whole numbers that are no
            brightnesses.

    >>> from symflow.vision import GeneratorAugment, affine_field
    >>> transform = Transform(GeneratorAugment(affine_field(), strength=0.1))
    >>> image, label = transform(torch.zeros(3, 32, 32, dtype=torch.uint8), 7)
    >>> image.shape, image.dtype, label
    (torch.Size([3, 32, 32]), torch.uint8, 7)
    """

    def __init__(self, augment: GeneratorAugment | ColourAugment) -> None:
        super().__init__()
        if not isinstance(augment, GeneratorAugment | ColourAugment):
            raise TypeError(f"`augment` must be GeneratorAugment or ColourAugment, got {type(augment).__name__}")
        self.augment = augment

    def forward(self, *inputs: Any) -> Any:
        """The same structure, moved."""
        weights = self.augment.draw(1)
        leaves: list[Any] = []
        _mapped(inputs, leaves.append)
        known = any(_kind(leaf) == IMAGE for leaf in leaves)
        plain = next((leaf for leaf in leaves if not known and _kind(leaf) == "Tensor" and leaf.dim() >= 3), None)

        def moved(leaf: Any) -> Any:
            kind = _kind(leaf)
            if kind in PASSED.split():
                raise UserError(f"a transform moves images and masks, got {kind}, which would have to move with them")
            if kind == IMAGE or leaf is plain is not None:
                return self._image(leaf, weights)
            return self._mask(leaf, weights) if kind == MASK else leaf

        found = _mapped(inputs, moved)
        return found[0] if len(inputs) == 1 else found

    def _image(self, image: Any, weights: Tensor) -> Any:
        if isinstance(image, Image):
            if image.mode in ("P", "PA"):  # numbers of colours: between two of them lies any other
                image = image.convert("RGBA" if image.has_transparency_data else "RGB")
            moved = self._array(np.asarray(image), weights)
            return frombytes(image.mode, image.size, moved.tobytes()) if moved.ndim == 3 else fromarray(moved)
        if isinstance(image, np.ndarray):
            return self._array(image, weights)
        plain = image.as_subclass(Tensor)
        return self._tensor(plain, weights).as_subclass(type(image))

    def _array(self, image: np.ndarray, weights: Tensor) -> np.ndarray:
        """``[H, W]`` or ``[H, W, C]``."""
        planes = torch.from_numpy(np.array(image if image.ndim == 3 else image[..., None])).movedim(-1, 0)
        moved = self._tensor(planes, weights).movedim(0, -1).numpy()
        return np.ascontiguousarray(moved if image.ndim == 3 else moved[..., 0])

    def _tensor(self, image: Tensor, weights: Tensor) -> Tensor:
        """``[..., C, H, W]``, of integers or not."""
        batch = image.reshape(-1, *image.shape[-3:])
        largest = 1.0 if image.is_floating_point() else _largest(image)
        working = batch.to(weights.dtype) / largest
        moved = self.augment.move(working, weights.to(working)).reshape(image.shape)
        if not image.is_floating_point():
            moved = (moved * largest).round().clamp(0, largest)
        return moved.to(image.dtype)

    def _mask(self, mask: Tensor, weights: Tensor) -> Tensor:
        """Each label as an image of its own, of which the strongest counts at a pixel."""
        if isinstance(self.augment, ColourAugment):
            return mask
        plain = mask.as_subclass(Tensor)
        labels = plain.unique()
        parts = torch.stack([(plain == label).float() for label in labels], -3)  # [..., labels, H, W]
        strongest = self._tensor(parts, weights).argmax(-3)
        moved: Tensor = labels[strongest].to(plain.dtype).as_subclass(type(mask))
        return moved


def _largest(image: Tensor) -> float:
    """The brightest that whole numbers of an image can be."""
    if image.dtype in (torch.uint8, torch.bool):
        return 255.0
    if image.dtype == torch.uint16:
        return 65535.0
    low, high = int(image.min()), int(image.max())
    if low < 0 or high > 255:
        raise UserError(
            f"an image of {str(image.dtype).removeprefix('torch.')} must have brightnesses from 0 to 255, got {low} to "
            f"{high}; give it as floating-point numbers"
        )
    return 255.0


def _kind(leaf: Any) -> str:
    """ "Image", "Mask", "Tensor", or a class of torchvision's that cannot be moved; else an empty word."""
    if isinstance(leaf, Image | np.ndarray):
        return IMAGE if isinstance(leaf, Image) or leaf.ndim in (2, 3) else ""
    if not isinstance(leaf, Tensor):
        return ""
    return "Tensor" if type(leaf) is Tensor else type(leaf).__name__


def _mapped(value: Any, function: Callable[[Any], Any]) -> Any:
    """A structure with a function of its leaves in their places."""
    if isinstance(value, Mapping):
        return type(value)({key: _mapped(v, function) for key, v in value.items()})  # type: ignore[call-arg]
    if isinstance(value, tuple) and hasattr(value, "_fields"):  # a named one
        return type(value)(*(_mapped(v, function) for v in value))
    if isinstance(value, list | tuple):
        return type(value)(_mapped(v, function) for v in value)
    return function(value)
