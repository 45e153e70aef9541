"""Images: read from files, split, normalised, in batches."""

from .images import Batches as Batches
from .images import Images as Images
from .images import Statistics as Statistics
from .images import epoch_seed as epoch_seed
from .images import from_dataset as from_dataset
from .images import load as load
from .images import split as split
