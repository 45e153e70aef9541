"""Jets of no data, and data with noise."""

from dataclasses import replace

import torch

from symflow.pde import Trajectories
from symflow.pde.equations import Jets


def random_jets(count: int, order: int, seed: int) -> Jets:
    """Jets of no data: x and t uniform, u near 1, derivatives normal."""
    generator = torch.Generator().manual_seed(seed)
    uniform = torch.rand(3, count, generator=generator, dtype=torch.float64)
    u_ = torch.randn(order + 1, count, generator=generator, dtype=torch.float64)
    u_[0] = 0.5 + uniform[2]
    return Jets(1.0 + uniform[0], uniform[1], u_)


def noisy(data: Trajectories, level: float, seed: int = 0) -> Trajectories:
    random = torch.Generator().manual_seed(seed)
    noise = torch.randn(data.u.shape, dtype=torch.float64, generator=random)
    return replace(data, u=data.u + level * data.u.std() * noise)
