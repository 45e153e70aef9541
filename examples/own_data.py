"""Symmetries of data of your own: arrays, the equation they solve, and what leaves both valid.

Run it with ``python examples/own_data.py``. The arrays here are a two-wave solution of the linear equation
``u_t + c u_x + u_xxx = 0``, made by hand; put yours in their place.
"""

import numpy as np

from symflow import pde

x = np.linspace(0, 2 * np.pi, 64, endpoint=False)  # one period, the right end left out
t = np.linspace(0, 2, 81)
c = 0.5


def wave(k: int, amplitude: float, phase: float) -> np.ndarray:
    return amplitude * np.cos(k * x - (c * k - k**3) * t[:, None] + phase)


u = np.stack([wave(1, a, a) + wave(2, 1 - a, 3 * a) + wave(3, 0.2, a) for a in np.linspace(0.2, 0.8, 6)])

data = pde.load(u=u, x=x, t=t, equation=pde.Equation("u_t + c*u_x + u_xxx = 0", c=c))
result = pde.discover(data, domain="plane", network="none")  # the null space alone
print(result)
for generator in result.generators:
    print(generator.name, generator.closed_form)
