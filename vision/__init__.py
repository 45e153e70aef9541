"""Images: data, networks, generators of the pixel plane, augmentation and what it is worth."""

from symflow.training import distributed as distributed

from .augmentation import ColourAugment as ColourAugment
from .augmentation import CropFlip as CropFlip
from .augmentation import GeneratorAugment as GeneratorAugment
from .augmentation import affine_field as affine_field
from .classifiers import accuracy as accuracy
from .classifiers import train as train
from .colours import colour_generators as colour_generators
from .comparison import Comparison as Comparison
from .comparison import compare as compare
from .comparison import learned_arms as learned_arms
from .data import Batches as Batches
from .data import Images as Images
from .data import Statistics as Statistics
from .data import from_dataset as from_dataset
from .data import load as load
from .data import split as split
from .discovery import discover_images as discover_images
from .networks import SmallResNet as SmallResNet
from .networks import load_network as load_network
from .networks import resnet18 as resnet18
from .networks import save_network as save_network
from .result import ImageResult as ImageResult
from .result import load_image_result as load_image_result
from .scores import ColourAngle as ColourAngle
from .scores import FeatureAngle as FeatureAngle
from .scores import FeatureDerivative as FeatureDerivative
from .slots import Slots as Slots
