# %% [markdown]
# # A function of mine
# Which continuous transformations leave a function as it is: an invariant, a network, a score? All that is needed is
# the function and points at which it is asked. Here: the Minkowski products of four momenta, of which nobody says
# that they are relativistic.
# %%
import matplotlib.pyplot as plt
import torch

from symflow import Coordinates, discover, invariance

random = torch.Generator().manual_seed(3)
space = torch.randn(1200, 4, 3, generator=random, dtype=torch.float64)
momenta = torch.cat([(1 + space.square().sum(-1, keepdim=True)).sqrt(), space], -1)  # on the mass shell, [B, 4, 4]
metric = torch.diag(torch.tensor([1.0, -1.0, -1.0, -1.0], dtype=torch.float64))


def products(p: torch.Tensor) -> torch.Tensor:
    return torch.einsum("bni,ij,bmj->bnm", p, metric, p).flatten(1)


names = Coordinates(("E", "px", "py", "pz"))
found = discover(invariance(products, momenta, coordinates=names), "affine")
print(found)
# %% [markdown]
# The count is read off the violations of the best fields, in ascending order: it is *clear* when those of symmetries
# are rounding and the next one is far above.
# %%
figure, axis = plt.subplots(figsize=(5, 3), layout="constrained")
shown = range(1, len(found.values) + 1)
axis.semilogy(shown, found.values, "o", label="violation")
axis.semilogy(shown, found.noise, "_", label="noise")
axis.axvline(found.rank + 0.5, color="0.6")
axis.set(xlabel="field", xticks=[1, 6, 10, 15, 20], title=f"{found.rank} symmetries, {found.algebra.name}")
axis.legend()
# %% [markdown]
# As many data again, each moved along its own random symmetry. The products are what they were.
# %%
more = found.augment(momenta, strength=0.3, seed=1)
print(f"moved by {(more - momenta).norm(dim=-1).mean():.2f} on average")
print(f"the products changed by {(products(more) - products(momenta)).abs().max():.1e}")
# %%
if __name__ == "__main__":
    plt.show()
