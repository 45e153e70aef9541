"""Vector fields as a neural network, on points and on truncated polynomials."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from symflow.arrays import takes_arrays
from symflow.errors import check_positive
from symflow.fields import series
from symflow.fields.coordinates import Coordinates
from symflow.fields.planes import Plotted
from symflow.fields.series import Series


@dataclass(frozen=True)
class Network:
    """The function of a `NeuralField`: what it computes, apart from who owns the parameters.

    ``layers`` are in the order of `NeuralField.layers`.
    """

    coordinates: Coordinates
    layers: tuple[Tensor, ...]

    @property
    def generators(self) -> int:
        """The number K of vector fields."""
        return self.layers[-1].shape[0]

    def __call__(self, points: Tensor) -> Tensor:
        """``points [..., d]`` to ``vectors [..., K, d]``, both normalised."""
        return evaluate_network(embed(points, self.coordinates.normalised_periods), self.layers)

    def features(self, points: Series) -> Series:
        """The last hidden layer of every head on truncated polynomials, ``[C, ..., d]`` to ``[C, ..., K, H]``."""
        w0, b0, w1, b1, wh, bh, _, _ = self.layers
        h = embed_series(points, self.coordinates.normalised_periods)
        h = _silu(_affine(h, w0, b0))
        h = _silu(_affine(h, w1, b1))
        h = _silu(_affine(h, wh.flatten(0, 1), bh.flatten()))
        return Series(h.truncation, h.coefficients.unflatten(-1, bh.shape))

    def series(self, points: Series) -> Series:
        """The vectors on truncated polynomials, ``[C, ..., d]`` to ``[C, ..., K, d]``."""
        hidden = self.features(points)
        vectors = torch.einsum("...kh,kdh->...kd", hidden.coefficients, self.layers[-2])
        return Series(points.truncation, vectors) + self.layers[-1]

    def slot(self, k: int) -> Network:
        """The k-th vector field alone, with the same parameters."""
        trunk, heads = self.layers[:4], self.layers[4:]
        return Network(self.coordinates, trunk + tuple(layer[k : k + 1] for layer in heads))


class NeuralField(nn.Module, Plotted):
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
        check_positive(generators=generators, width=width, head_width=head_width)
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

    @property
    def network(self) -> Network:
        """The function these parameters give."""
        return Network(self.coordinates, self.layers)

    @takes_arrays
    def forward(self, points: Tensor) -> Tensor:
        """``points [..., d]`` to ``vectors [..., K, d]``, both normalised."""
        return self.network(points)

    def features(self, points: Series) -> Series:
        """The last hidden layer of every head on truncated polynomials, ``[C, ..., d]`` to ``[C, ..., K, H]``."""
        return self.network.features(points)

    def series(self, points: Series) -> Series:
        """`forward` on truncated polynomials, ``[C, ..., d]`` to ``[C, ..., K, d]``."""
        return self.network.series(points)

    def slot(self, k: int) -> Network:
        """The k-th vector field alone, with the same parameters."""
        return self.network.slot(k)

    def combination(self, weights: Tensor) -> NeuralField:
        """The one field ``sum_k weights[k] V_k``, with parameters of its own.

        Heads with the same features, as those of a solved span are, become one head; others stand side by side in it.

        Args:
            weights: ``[K]``, of the dtype of the parameters.

        >>> field = NeuralField(Coordinates(("x",)), generators=2)
        >>> field.combination(torch.tensor([1.0, -1.0]))(torch.zeros(5, 1)).shape
        torch.Size([5, 1, 1])
        """
        with torch.no_grad():
            heads = [torch.cat([w, b[:, None]], 1) for w, b in zip(self.head_weight, self.head_bias, strict=True)]
            first = [next(i for i, other in enumerate(heads) if torch.equal(other, head)) for head in heads]
            distinct = sorted(set(first))
            d, width = self.coordinates.dimension, self.trunk0_bias.shape[0]
            out = self.out_weight.new_zeros(d, len(distinct), self.head_bias.shape[1])
            for k, i in enumerate(first):
                out[:, distinct.index(i)] += weights[k] * self.out_weight[k]
            made = NeuralField(self.coordinates, 1, width, out[0].numel()).to(self.out_weight)
            trunk, hidden = self.layers[:4], (self.head_weight[distinct], self.head_bias[distinct])
            layers = (
                *trunk,
                *(h.flatten(0, 1)[None] for h in hidden),
                out.flatten(1)[None],
                (weights @ self.out_bias)[None],
            )
            for parameter, layer in zip(made.layers, layers, strict=True):
                parameter.copy_(layer)
        return made.requires_grad_(False)


def _affine(value: Series, weight: Tensor, bias: Tensor) -> Series:
    return Series(value.truncation, value.coefficients @ weight.T) + bias


def _silu(value: Series) -> Series:
    activated: Series = series.FUNCTIONS["silu"](value)
    return activated


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


def embed_series(points: Series, periods: tuple[float | None, ...]) -> Series:
    """`embed` on truncated polynomials, ``[C, ..., d]`` to ``[C, ..., e]``."""
    columns = []
    for z, period in zip(series.columns(points), periods, strict=True):
        if period is None:
            columns.append(z)
        else:
            angle = z * (2 * math.pi / period)
            columns += [series.FUNCTIONS["cos"](angle), series.FUNCTIONS["sin"](angle)]
    return Series(points.truncation, torch.stack([column.coefficients for column in columns], -1))


def evaluate_network(embedded: Tensor, layers: tuple[Tensor, ...]) -> Tensor:
    """The network of `NeuralField` on embedded points, ``[..., e]`` to ``[..., K, d]``."""
    w0, b0, w1, b1, wh, bh, wo, bo = layers
    silu, linear = nn.functional.silu, nn.functional.linear
    h = silu(linear(silu(linear(embedded, w0, b0)), w1, b1))
    heads, hidden, width = wh.shape
    g = silu(linear(h, wh.reshape(heads * hidden, width), bh.reshape(-1))).unflatten(-1, (heads, hidden))
    return torch.einsum("...kh,kdh->...kd", g, wo) + bo
