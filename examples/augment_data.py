# %% [markdown]
# # Augmentation
# More data that are as valid as those you have: trajectories moved along the symmetries that are proved for their
# equation and that they are seen to solve. Everything else is refused, unless you ask for it.
# %%
import matplotlib.pyplot as plt
import torch

from symflow import UserError, pde

data = pde.generate("kdv", samples=16, seed=0, resolution=256)  # or pde.load("mine.h5")
result = pde.discover(data, network="none")  # the null space alone
print(result)
# %% [markdown]
# For training there is a torch module: each call draws new motions. Rows whose sources lie outside the times of the
# data are marked, and are grey here.
# %%
augment = pde.TrajectoryAugment(result, data, strength=0.2)
torch.manual_seed(0)
moved, valid = augment(data.u[:1].repeat(3, 1, 1))  # [B, T, X]: three copies, each with its own motion
figure, axes = plt.subplots(1, 4, figsize=(11, 3), sharey=True, layout="constrained")
shown = moved.masked_fill(~valid[..., None], torch.nan)
for axis, u, title in zip(axes, (data.u[0], *shown), ("a trajectory", "moved", "again", "again"), strict=True):
    image = axis.pcolormesh(data.x, data.t, u, cmap="RdBu_r", vmin=-2, vmax=2, rasterized=True)
    axis.set(title=title, xlabel="x", facecolor="0.8")
axes[0].set_ylabel("t")
figure.colorbar(image, ax=axes, label="u")
# %% [markdown]
# A whole set at once, as data like any others. Do the copies solve the equation? The same question is asked of them
# as of the data themselves.
# %%
more = result.augment(data, strength=0.2, seed=1)
print(f"{len(data)} trajectories, {len(more)} moved ones")
print(pde.audit_data(more))
# %% [markdown]
# Data that do not solve the equation, here for values 3 % too large, are not moved.
# %%
wrong = pde.load(u=1.03 * data.u, x=data.x, t=data.t, equation="kdv")
try:
    pde.discover(wrong, network="none").augment(wrong, strength=0.2, seed=1)
except UserError as error:
    print(error)
# %%
if __name__ == "__main__":
    plt.show()
