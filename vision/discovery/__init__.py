"""From images to the generators that their features tolerate."""

from .arms import learned_arms as learned_arms
from .discovery import discover_images as discover_images
from .entries import AFFINE_MOTIONS as AFFINE_MOTIONS
from .entries import AFFINE_RANK as AFFINE_RANK
from .evidence import collect as collect
from .result import KIND as KIND
from .result import ImageResult as ImageResult
from .result import load_image_result as load_image_result
from .result import load_image_result as load_result  # noqa: F401  (what `symflow.load_result` looks for)
from .searches import Search as Search
from .searches import forms_of as forms_of
from .words import held_out_figures as held_out_figures
