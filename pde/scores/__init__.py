"""How far moved data are from solving their equation, in every form that is learned from or checked."""

from .forms import JetForms as JetForms
from .forms import Superposed as Superposed
from .jets import InfinitesimalScore as InfinitesimalScore
from .jets import JetScore as JetScore
from .jets import Score as Score
from .jets import points_of as points_of
from .jets import unit_weights as unit_weights
from .local import THRESHOLD as THRESHOLD
from .local import LocalScore as LocalScore
from .local import cut as cut
from .local import random_corners as random_corners
from .observed import ObservedJets as ObservedJets
from .observed import both_jets as both_jets
from .observed import jets_of as jets_of
from .observed import jets_on as jets_on
from .observed import observed as observed
from .observed import observed_jets as observed_jets
from .sensitivities import LocalForms as LocalForms
from .slots import PAPER as PAPER
from .slots import SMALL as SMALL
from .slots import Recipe as Recipe
from .slots import Slots as Slots
