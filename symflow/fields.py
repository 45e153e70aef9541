"""Vector fields: fixed functions of the point, K of them at a time."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from symflow.coordinates import Coordinates


class NeuralField(nn.Module):
    """K vector fields on R^d as one network: a shared trunk and one head per generator.

    ``h = silu(W1 silu(W0 e(z) + b0) + b1)``, ``V_k(z) = A_k silu(B_k h + c_k) + a_k``, where the embedding ``e``
    replaces a periodic coordinate ``z_i`` of normalised period ``p_i`` by ``(cos 2 pi z_i/p_i, sin 2 pi z_i/p_i)``
    and keeps the others, in the order of the axes (paper section 4.1; the embedding replaces the official code's
    blending near the edges and is exactly periodic).

    Points and vectors are in normalised units. A point's vectors depend on that point alone, never on the batch.
    The same seed gives the same parameters on every machine.

    Args:
        coordinates: the axes of the space.
        generators: the number K of vector fields, at least 1.
        width: units W of each of the two shared hidden layers (the paper: 256).
        head_width: units H of the hidden layer of each head (the paper: 32).
        seed: of the initial parameters.

    Raises:
        ValueError: a size is below 1.

    >>> field = NeuralField(Coordinates(("x", "t", "u")), generators=4)
    >>> field(torch.zeros(10, 3)).shape
    torch.Size([10, 4, 3])
    """

    def __init__(
        self, coordinates: Coordinates, generators: int, width: int = 64, head_width: int = 32, seed: int = 0
    ) -> None:
        super().__init__()
        for name, size in (("generators", generators), ("width", width), ("head_width", head_width)):
            if size < 1:
                raise ValueError(f"`{name}` must be at least 1, got {size}")
        self.coordinates = coordinates
        d, e = coordinates.dimension, embedding_size(coordinates)
        rng = torch.Generator().manual_seed(seed)

        def layer(*shape: int) -> tuple[nn.Parameter, nn.Parameter]:
            """torch's default for linear layers, U(-1/sqrt(fan in), 1/sqrt(fan in)), from our own generator."""
            bound = 1 / math.sqrt(shape[-1])
            weight = torch.empty(shape).uniform_(-bound, bound, generator=rng)
            bias = torch.empty(shape[:-1]).uniform_(-bound, bound, generator=rng)
            return nn.Parameter(weight), nn.Parameter(bias)

        self.trunk0_weight, self.trunk0_bias = layer(width, e)
        self.trunk1_weight, self.trunk1_bias = layer(width, width)
        self.head_weight, self.head_bias = layer(generators, head_width, width)
        self.out_weight, self.out_bias = layer(generators, d, head_width)

    @property
    def generators(self) -> int:
        """The number K of vector fields."""
        return self.out_bias.shape[0]

    @property
    def layers(self) -> tuple[Tensor, ...]:
        """The eight parameters in the order every kernel takes them."""
        return (
            self.trunk0_weight,  # [W, e]
            self.trunk0_bias,  # [W]
            self.trunk1_weight,  # [W, W]
            self.trunk1_bias,  # [W]
            self.head_weight,  # [K, H, W]
            self.head_bias,  # [K, H]
            self.out_weight,  # [K, d, H]
            self.out_bias,  # [K, d]
        )

    def forward(self, points: Tensor) -> Tensor:
        """``points [..., d]`` to ``vectors [..., K, d]``, both normalised."""
        return evaluate_network(embed(points, self.coordinates.normalised_periods), self.layers)


def embedding_size(coordinates: Coordinates) -> int:
    """Length e of the embedding: two numbers for a periodic axis, one for any other."""
    return sum(1 if p is None else 2 for p in coordinates.periods)


def embed(points: Tensor, periods: tuple[float | None, ...]) -> Tensor:
    """``[..., d]`` to ``[..., e]``: ``(cos 2 pi z/p, sin 2 pi z/p)`` on periodic axes, ``z`` on the others."""
    columns = []
    for z, period in zip(points.unbind(-1), periods, strict=True):
        if period is None:
            columns.append(z)
        else:
            angle = z * (2 * math.pi / period)
            columns += [torch.cos(angle), torch.sin(angle)]
    return torch.stack(columns, -1)


def evaluate_network(embedded: Tensor, layers: tuple[Tensor, ...]) -> Tensor:
    """The network of `NeuralField` on embedded points, ``[..., e]`` to ``[..., K, d]``."""
    w0, b0, w1, b1, wh, bh, wo, bo = layers
    silu, linear = nn.functional.silu, nn.functional.linear
    h = silu(linear(silu(linear(embedded, w0, b0)), w1, b1))
    heads, hidden, width = wh.shape
    g = silu(linear(h, wh.reshape(heads * hidden, width), bh.reshape(-1))).unflatten(-1, (heads, hidden))
    return torch.einsum("...kh,kdh->...kd", g, wo) + bo
