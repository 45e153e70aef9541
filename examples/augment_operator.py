"""Load trajectories, find their symmetries, move them along, train a neural operator with and without, compare.

Run it with ``python examples/augment_operator.py``: a few minutes on two cores, with so few steps of training that the
comparison is a taste only. Two pictures come out, ``moved.png`` and ``errors.png``. It needs
``pip install symflow[operator]``.
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch

from symflow import pde

TRAIN, TEST = 8, 16

# Load: a file that another program wrote is read the same way.
file = Path("kdv.h5")
if not file.exists():
    pde.save(pde.generate("kdv", samples=TEST + 1 + TRAIN, seed=0, resolution=256), file)
data = pde.load(file)
training = data[TEST + 1 :]

# Discover: from the few training trajectories alone.
result = pde.discover(training, network="trained")
print(result)

# Augment: along random elements of the span that the network learned.
augment = pde.TrajectoryAugment(result.neural.field, training, strength=0.2)
torch.manual_seed(0)
moved, valid = augment(training.u[:1].repeat(2, 1, 1))  # each copy has its own weights
print(f"valid rows of the moved trajectories: {valid.double().mean():.0%}")

figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), sharey=True, layout="constrained")
extent = (0.0, training.length, float(training.t[0]), float(training.t[-1]))
shown = moved.masked_fill(~valid[..., None], torch.nan)  # these rows lie outside the times of the data
for axis, u, title in zip(axes, (training.u[0], *shown), ("a trajectory", "moved", "moved again"), strict=True):
    image = axis.imshow(u, origin="lower", aspect="auto", extent=extent, cmap="RdBu_r", vmin=-2, vmax=2)
    axis.set(title=title, xlabel="x", facecolor="0.8")
axes[0].set_ylabel("t")
figure.colorbar(image, ax=axes, label="u")
figure.savefig("moved.png", dpi=120)

# Train and compare: the same network, start and batches for every arm.
comparison = pde.compare_operators(
    data,
    arms=("none", "exact", "learned"),
    unproved=True,  # nothing proves what a network learned
    field=result.neural.field,
    trajectories=TRAIN,
    seeds=1,
    points=128,
    steps=300,
    strengths=(0.2,),
    validation=1,
    test=TEST,
)
print(comparison)

figure, axis = plt.subplots(figsize=(4, 3), layout="constrained")
axis.bar([arm.name for arm in comparison.arms], [arm.errors[0] for arm in comparison.arms], color="#4477aa")
axis.set(ylabel="error on test trajectories", title=f"{TRAIN} trajectories, 300 steps")
figure.savefig("errors.png", dpi=120)
