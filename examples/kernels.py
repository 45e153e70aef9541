# %% [markdown]
# # Kernels alone
# The operations under everything else take plain tensors and know nothing of equations: flows of vector fields, warps
# of images, both in one, moved points back on a grid. Gradients are exact, bits do not depend on the number of
# threads.
# %%
import math
import time

import matplotlib.pyplot as plt
import torch

import symflow

names = symflow.Coordinates(("x", "y"))
turn = symflow.SymbolicField(names, [{"dx": "-y", "dy": "x"}, {"dx": "1", "dy": "0"}])  # two generators
points = torch.rand(1, 200, 2, dtype=torch.float64)  # [B, N, d]
quarter = torch.tensor([[math.pi / 2, 0.0]], dtype=torch.float64)  # [B, K]: how far along each generator
end = symflow.flow(turn, points, quarter, steps=16)
print(f"a quarter turn, against the exact one: {(end - points.flip(-1) * end.new_tensor([-1, 1])).abs().max():.1e}")
# %% [markdown]
# Images along the flow of a tabulated field, with gradients of images, weights and table.
# %%
axis = torch.linspace(-1, 1, 64)
y, x = torch.meshgrid(axis, axis, indexing="ij")
image = ((x.abs() < 0.5) & (y.abs() < 0.2)).float()[None, None]  # [B, C, H, W]
table = symflow.GridField.tabulate(turn, (65, 65), (-1.5, -1.5), (1.5, 1.5)).float()
weights = torch.tensor([[[0.0, 0.0], [0.4, 0.0], [0.8, 0.0], [0.8, 0.4]]], requires_grad=True)  # [B, G, K]
moved = symflow.flow_warp(table, image, weights)  # [B, G, C, H, W]
moved.square().mean().backward()
figure, axes = plt.subplots(1, 4, figsize=(10, 2.7), layout="constrained")
for panel, picture, w in zip(axes, moved[0, :, 0].detach(), weights[0].tolist(), strict=True):
    panel.imshow(picture, extent=(-1, 1, 1, -1), cmap="gray")
    panel.set(title=f"turn {w[0]:.1f}, shift {w[1]:.1f}", xticks=[], yticks=[])
# %% [markdown]
# A network as the field: one fused kernel, beside the same in plain torch.
# %%
network = symflow.NeuralField(symflow.Coordinates(("x", "t", "u")), generators=4)
points, weights = torch.randn(4, 2000, 3), 0.1 * torch.eye(4)
for name, call in (("kernel", symflow.flow), ("plain torch", symflow.ops.flow_ref)):
    start = time.perf_counter()
    call(network, points, weights, steps=8).square().mean().backward()
    print(f"{name}, forward and backward: {1e3 * (time.perf_counter() - start):.0f} ms")
# %%
if __name__ == "__main__":
    plt.show()
