"""How many symmetries an equation has, counted modulo a prime at a random point: no library, no search, no numbers.

Nothing here is shared with the search but the equation itself, so the two check each other.
"""

from .condition import coefficients as coefficients
from .count import Count as Count
from .count import at_order as at_order
from .count import count_symmetries as count_symmetries
from .count import taylor_coefficients as taylor_coefficients
