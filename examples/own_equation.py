# %% [markdown]
# # An equation
# Which transformations take every solution of an equation to a solution? Nothing is simulated and nothing is tuned:
# the equation is text, and every generator in the answer is proved. Put your equation in the place of these.
# %%
import math

import matplotlib.pyplot as plt
import torch

from symflow import Coordinates, SymbolicField, flow, pde

result = pde.discover("u_t + u*u_x + u_xxx = 0")
print(result)
# %% [markdown]
# What each generator does to a soliton: its graph, points (x, t, u), is carried along the field. Every picture is
# again a solution.
# %%
x, t = torch.meshgrid(torch.linspace(-10, 20, 150), torch.linspace(0, 10, 60), indexing="xy")
speed = 1.5
soliton = 3 * speed / torch.cosh(math.sqrt(speed) / 2 * (x - speed * t)) ** 2
points = torch.stack([x, t, soliton], -1).double()  # [T, X, 3]

figure, axes = plt.subplots(1, 5, figsize=(11, 2.8), sharex=True, sharey=True, layout="constrained")
for axis, generator in zip(axes, (None, *result.generators), strict=True):
    moved = points
    if generator is not None:
        field = SymbolicField(Coordinates(("x", "t", "u")), [generator.closed_form])
        length = 0.25 if "*" in generator.formula else 3.0
        moved = flow(field, points.reshape(1, -1, 3), torch.tensor([[length]]).double()).reshape(points.shape)
    axis.pcolormesh(*moved.unbind(-1), cmap="viridis", vmin=0, vmax=10, shading="gouraud", rasterized=True)
    axis.set(title="a soliton" if generator is None else generator.formula, xlabel="x", xlim=(-12, 50), ylim=(0, 21))
axes[0].set_ylabel("t")
# %% [markdown]
# Second order in time, mixed derivatives, parameters by name, systems, several dimensions: the text is enough.
# %%
for text, parameters in (
    ("u_tt - u_xx + sin(u) = 0", {}),
    ("u_t - u_xxt + 3*u*u_x = 2*u_x*u_xx + u*u_xxx", {}),
    ("u_t = Derivative(k*u**2*u_x, x) + a*u", {"k": 0.5, "a": 0.2}),
    ("u_t + v_xx + (u**2 + v**2)*v = 0; v_t - u_xx - (u**2 + v**2)*u = 0", {}),
    ("u_t = nu*(u_xx + u_yy)", {"nu": 0.3}),
):
    print(pde.discover(pde.Equation(text, **parameters)), end="\n\n")
# %%
if __name__ == "__main__":
    plt.show()
