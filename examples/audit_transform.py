# %% [markdown]
# # A transform to audit
# Is a transform of yours a symmetry of your equation? Ask before you augment data with it. Put your own function in
# the place of these: of points, elementwise, or of gridded data as augmentation code has it. The same from the
# command line: `symflow audit examples/audit_transform.py:stretch --equation "u_t + u*u_x + u_xxx = 0"`.
# %%
import matplotlib.pyplot as plt
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
# %% [markdown]
# What the boost does: in the moving frame the same waves stand higher and lean to the right.
# %%
data = pde.generate("kdv", samples=1, seed=0, resolution=256)
x, t, u = data.x.numpy(), data.t.numpy(), data.u[0].numpy()
figure, axes = plt.subplots(1, 2, figsize=(8, 3), sharey=True, layout="constrained")
for axis, values, title in zip(axes, (u, boost(x, t, u, 0.3)), ("a solution of KdV", "boosted by 0.3"), strict=True):
    image = axis.pcolormesh(x, t, values, cmap="RdBu_r", vmin=-2, vmax=2, rasterized=True)
    axis.set(title=title, xlabel="x")
axes[0].set_ylabel("t")
figure.colorbar(image, ax=axes, label="u")
# %%
if __name__ == "__main__":
    plt.show()
