"""Images: data, networks, generators of the pixel plane, augmentation and what it is worth."""

from symflow.learning import distributed as distributed

from .augmentation import ColourAugment as ColourAugment
from .augmentation import CropFlip as CropFlip
from .augmentation import GeneratorAugment as GeneratorAugment
from .augmentation import affine_field as affine_field
from .classifiers import Comparison as Comparison
from .classifiers import accuracy as accuracy
from .classifiers import compare as compare
from .classifiers import train as train
from .data import Batches as Batches
from .data import Images as Images
from .data import Statistics as Statistics
from .data import from_dataset as from_dataset
from .data import load as load
from .data import split as split
from .discovery import ImageResult as ImageResult
from .discovery import discover_images as discover_images
from .discovery import learned_arms as learned_arms
from .discovery import load_image_result as load_image_result
from .features import SmallResNet as SmallResNet
from .features import load_network as load_network
from .features import resnet18 as resnet18
from .features import save_network as save_network
from .search import ColourAngle as ColourAngle
from .search import FeatureAngle as FeatureAngle
from .search import FeatureDerivative as FeatureDerivative
from .search import Slots as Slots
from .search import colour_generators as colour_generators
from .search import feature_problem as feature_problem
