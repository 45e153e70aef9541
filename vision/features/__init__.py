"""Networks and the features of theirs that generators are looked for with."""

from .features import Features as Features
from .features import Normalised as Normalised
from .features import PatchFeatures as PatchFeatures
from .features import Whitened as Whitened
from .features import unit as unit
from .features import untrained as untrained
from .networks import ImageNetwork as ImageNetwork
from .networks import ResNet18 as ResNet18
from .networks import SmallResNet as SmallResNet
from .networks import load_network as load_network
from .networks import resnet18 as resnet18
from .networks import save_network as save_network
from .weight import omega as omega
