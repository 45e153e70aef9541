"""How many symmetries an equation has, counted modulo a prime at a random point: no library, no search, no numbers.

Nothing here is shared with the search but the equation itself, so the two check each other.
"""

from .condition import coefficients as coefficients
from .count import Count as Count
from .count import count_symmetries as count_symmetries
