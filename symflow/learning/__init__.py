"""The learning of fields and networks: the loop, objectives, losses, fair comparison of trainings."""

from .comparison import JobReport as JobReport
from .comparison import Ledger as Ledger
from .comparison import choose_strength as choose_strength
from .comparison import mean_interval as mean_interval
from .loop import Objective as Objective
from .loop import Record as Record
from .loop import StepReport as StepReport
from .loop import learn as learn
from .losses import lipschitz as lipschitz
from .losses import orthonormality as orthonormality
from .losses import sobolev as sobolev
from .subspace import RESOLUTION as RESOLUTION
from .subspace import Subspace as Subspace
from .subspace import eigenfields as eigenfields
from .subspace import span_field as span_field
from .subspace import with_constant as with_constant
from .training import CHECKPOINT_SECONDS as CHECKPOINT_SECONDS
from .training import digest as digest
from .training import distributed as distributed
from .training import has_bfloat16 as has_bfloat16
from .training import restore_training as restore_training
from .training import save_training as save_training
from .training import schedule as schedule
from .training import seeded as seeded
