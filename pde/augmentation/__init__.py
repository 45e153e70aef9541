"""Trajectories moved along symmetries: as a module, as a dataset, as files, as a loss."""

from .allowed import UNLESS as UNLESS
from .allowed import check_solve as check_solve
from .allowed import keeping_grid as keeping_grid
from .equivariance import characteristics as characteristics
from .files import augment_file as augment_file
from .moved import moved as moved
from .trajectories import AugmentedTrajectories as AugmentedTrajectories
from .trajectories import TrajectoryAugment as TrajectoryAugment
from .trajectories import tabulated as tabulated
from .trajectories import windows as windows
