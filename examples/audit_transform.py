"""Is a transform of yours a symmetry of your equation? Ask before you augment data with it.

Run it with ``python examples/audit_transform.py``. Put your own function in the place of these: of points, elementwise,
or of gridded data as augmentation code has it. The same from the command line:
``symflow audit examples/audit_transform.py:stretch --equation "u_t + u*u_x + u_xxx = 0"``.
"""

import numpy as np

from symflow import pde

equation = pde.Equation("u_t + u*u_x + u_xxx = 0")


def stretch(x, t, u, epsilon):
    """Points (x, t, u) of the graph of a solution, arrays of one shape: where they go."""
    return np.exp(epsilon) * x, np.exp(3 * epsilon) * t, np.exp(-epsilon) * u


def boost(x, t, u, epsilon):
    """One solution on a grid, x [X], t [T], u [T, X]: the same seen from a moving frame, by linear interpolation."""
    period = len(x) * (x[1] - x[0])
    rows = zip(t, u, strict=True)
    return np.stack([np.interp(x - epsilon * time, x, row, period=period) + epsilon for time, row in rows])


for function in (stretch, boost):
    print(pde.audit_transform(function, equation), end="\n\n")
