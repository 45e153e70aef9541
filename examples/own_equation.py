"""Symmetries of an equation of your own: nothing is simulated, every generator is proven.

Run it with ``python examples/own_equation.py``; put your equation in the place of these.
"""

from symflow import pde

for text, parameters in (
    ("u_tt - u_xx + sin(u) = 0", {}),  # second order in time
    ("u_t - u_xxt + 3*u*u_x = 2*u_x*u_xx + u*u_xxx", {}),  # mixed derivatives
    ("u_t = Derivative(k*u**2*u_x, x) + a*u", {"k": 0.5, "a": 0.2}),  # parameters by name
    ("u_t + v_xx + (u**2 + v**2)*v = 0; v_t - u_xx - (u**2 + v**2)*u = 0", {}),  # a system: i psi_t = psi_xx + ...
    ("u_t = nu*(u_xx + u_yy)", {"nu": 0.3}),  # two dimensions, linear: infinitely many
):
    result = pde.discover(pde.Equation(text, **parameters), network="none")  # the null space alone
    print(result, end="\n\n")
