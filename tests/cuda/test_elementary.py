"""The elementary functions of a GPU thread, emulated and on the device."""

import numpy as np
import pytest
import torch


def values(dtype):
    limit = 85.0 if dtype == torch.float32 else 700.0
    rng = torch.Generator().manual_seed(0)
    x = [torch.linspace(-limit, limit, 5_001, dtype=torch.float64), torch.randn(5_000, generator=rng).double()]
    return torch.cat(x).to(dtype)


def check(x, silu, derivative, cos, sin):
    """Errors in units of the rounding of numbers near 1, against numpy's extended precision."""
    exact = x.cpu().numpy().astype(np.longdouble)
    sigmoid = 1 / (1 + np.exp(-exact))
    angle = (exact - np.rint(exact)) * (8 * np.arctan(np.longdouble(1)))
    unit = torch.finfo(x.dtype).eps / 2
    for found, expected in (
        (silu, exact * sigmoid),
        (derivative, sigmoid * (1 + exact * (1 - sigmoid))),
        (cos, np.cos(angle)),
        (sin, np.sin(angle)),
    ):
        error = np.abs(found.cpu().numpy().astype(np.longdouble) - expected) / np.maximum(1, np.abs(expected))
        assert error.max() < 4 * unit


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_emulated(emulated, dtype):
    x = values(dtype)
    out = [torch.full_like(x, torch.nan) for _ in range(4)]
    emulated("elementary")(f"elementary_{'float' if dtype == torch.float32 else 'double'}", x, len(x), *out)
    check(x, *out)
    edges = torch.tensor([torch.inf, -torch.inf, torch.nan, 0.0, torch.finfo(dtype).max], dtype=dtype)
    out = [torch.zeros_like(edges) for _ in range(4)]
    emulated("elementary")(f"elementary_{'float' if dtype == torch.float32 else 'double'}", edges, 5, *out)
    assert torch.equal(out[0][[0, 3, 4]], edges[[0, 3, 4]])
    assert out[0][1].abs() < 1e-30
    assert all(t[2].isnan() for t in out)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_on_the_device(dtype):
    x = values(dtype).cuda()
    check(x, *torch.ops.symflow.elementary(x))
