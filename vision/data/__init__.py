"""Images: read from files, split, normalised, in batches."""

from .batches import Batches as Batches
from .batches import Statistics as Statistics
from .batches import epoch_seed as epoch_seed
from .files import load as load
from .images import Images as Images
from .images import channels_last as channels_last
from .images import from_dataset as from_dataset
from .images import split as split
