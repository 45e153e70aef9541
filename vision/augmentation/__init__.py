"""Images moved along fields, or changed in colour, as torch modules."""

from .augmentation import ColourAugment as ColourAugment
from .augmentation import CropFlip as CropFlip
from .augmentation import GeneratorAugment as GeneratorAugment
from .augmentation import affine_field as affine_field
from .augmentation import balanced as balanced
from .transform import Transform as Transform
