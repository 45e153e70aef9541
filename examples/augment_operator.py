"""Find the symmetries of trajectories, train a neural operator with and without moved copies of them, compare.

Run it with ``python examples/augment_operator.py``: a few minutes on two cores, with so few steps of training that the
comparison is a taste only. Two pictures come out, ``moved.png`` and ``errors.png``. It needs
``pip install 'symflow-torch[operator]'``.
"""

import matplotlib.pyplot as plt
import torch

from symflow import pde

TRAIN, TEST = 8, 16


def main() -> None:
    data = pde.generate("kdv", samples=TEST + 1 + TRAIN, seed=0, resolution=256)  # or pde.load("mine.h5")
    training = data[TEST + 1 :]
    result = pde.discover(training, network="trained")  # from the few training trajectories alone
    print(result)

    augment = pde.TrajectoryAugment(result.neural.field, training, strength=0.2)  # along what the network learned
    torch.manual_seed(0)
    moved, valid = augment(training.u[:1].repeat(2, 1, 1))  # each copy has its own weights
    print(f"valid rows of the moved trajectories: {valid.double().mean():.0%}")
    figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), sharey=True, layout="constrained")
    shown = moved.masked_fill(~valid[..., None], torch.nan)  # the other rows lie outside the times of the data
    for axis, u, title in zip(axes, (training.u[0], *shown), ("a trajectory", "moved", "moved again"), strict=True):
        image = axis.pcolormesh(training.x, training.t, u, cmap="RdBu_r", vmin=-2, vmax=2, rasterized=True)
        axis.set(title=title, xlabel="x", facecolor="0.8")
    axes[0].set_ylabel("t")
    figure.colorbar(image, ax=axes, label="u")
    figure.savefig("moved.png", dpi=120)

    comparison = pde.compare_operators(  # the same network, start and batches for every arm
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


if __name__ == "__main__":
    main()
