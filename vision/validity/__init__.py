"""Which motions images that took no part in the search say are valid, with a null distribution and in three words."""

from .affine import WEAK as WEAK
from .affine import AffineClaim as AffineClaim
from .affine import affine_claim as affine_claim
from .affine import random_shares as random_shares
from .count import at_least as at_least
from .judges import ClassOutputs as ClassOutputs
from .judges import RidgeClassifier as RidgeClassifier
from .products import LEAST as LEAST
from .products import Estimate as Estimate
from .products import Products as Products
from .products import estimate as estimate
from .responses import Judge as Judge
from .responses import chosen as chosen
from .responses import joint_responses as joint_responses
from .rules import HeldOut as HeldOut
from .rules import Judged as Judged
from .rules import by_agreement as by_agreement
from .rules import by_coherence as by_coherence
