"""Parts of a data set: together they are the whole, and nothing else is taken for it."""

from __future__ import annotations

import h5py
import pytest
import torch

from symflow.errors import UserError
from symflow.pde import Equation, generate, load, merge, save
from symflow.pde.trajectories.shards import share

SMALL = {"seed": 3, "steps": 20, "keep": 5, "end": 2.0, "resolution": 64}


def parts(folder, count, equation="ckdv", samples=5, **settings):
    paths = []
    for i in range(1, count + 1):
        data = generate(equation, samples, shard=f"{i}/{count}", **(SMALL | settings))
        paths.append(save(data, folder / f"{i}.h5", overwrite=True))
    return paths


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_all_parts_are_the_whole_bit_for_bit(count, tmp_path):
    paths = parts(tmp_path, count)
    merged = load(merge(paths[::-1], tmp_path / "whole.h5"))
    whole = generate("ckdv", 5, **SMALL)
    assert torch.equal(merged.u, whole.u)
    assert dict(merged.settings) == dict(whole.settings)
    assert (merged.seed, merged.name, merged.equation) == (whole.seed, whole.name, whole.equation)


def test_systems_on_boxes_have_parts_too(tmp_path):
    equation = Equation("u_t - 0.1*u_xx - v = 0; v_t - 0.1*v_xx + u = 0")
    box = {"seed": 1, "steps": 4, "end": 0.5, "length": 6.0, "resolution": 16, "keep": None}
    merged = load(merge(parts(tmp_path, 2, equation, 3, **box), tmp_path / "whole.h5"))
    assert torch.equal(merged.u, generate(equation, 3, **box).u)


def test_shares_are_even_and_meet():
    for samples in range(1, 20):
        for count in range(1, samples + 1):
            numbers = [n for i in range(count) for n in share(f"{i + 1}/{count}", samples)]
            assert numbers == list(range(samples))
            sizes = {len(share(f"{i + 1}/{count}", samples)) for i in range(count)}
            assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("shard", ["", "0/2", "3/2", "1", "1/2/3", "a/b", "-1/2", "1/6", "٣/٨x"])
def test_what_is_no_part_is_refused(shard):
    with pytest.raises(UserError, match="`shard` must be a part such as 3/8, of at most 5"):
        generate("ckdv", 5, shard=shard, **SMALL)


def test_gaps_overlaps_and_strangers_are_refused(tmp_path):
    first, second, third = parts(tmp_path, 3)
    other, more, two, whole, late = (
        save(generate("ckdv", n, shard=shard, **SMALL | how), tmp_path / f"{i}.other.h5")
        for i, (n, shard, how) in enumerate(
            [
                (5, "3/3", {"seed": 4}),
                (6, "3/3", {}),
                (5, "2/2", {}),
                (5, None, {}),
                (5, "1/1", {"end": 2.5}),
            ]
        )
    )
    refusals = [
        ([first, third], "got none that is 2/3"),
        ([first, second, third, second], "got that of .*2.h5' twice"),
        ([], "must be files, got none"),
        ([first, second, other], "got seed = 4"),
        ([first, second, more], "got of = 6 and 5"),
        ([first, two], "got n = 2 and 3"),
        ([whole], "must be a part"),
        ([late, first], "must be a part of the same set"),
    ]
    for paths, sentence in refusals:
        with pytest.raises(UserError, match=sentence):
            merge(paths, tmp_path / "whole.h5")
        assert not (tmp_path / "whole.h5").exists()
    with h5py.File(third, "r+") as file:
        values = file["u"][:1]
        del file["u"]
        file["u"] = values
    with pytest.raises(UserError, match=r"must hold 2 trajectories|must match|shape|`u`"):
        merge([first, second, third], tmp_path / "whole.h5")
    merge(parts(tmp_path, 3), tmp_path / "whole.h5")
    with pytest.raises(UserError, match="which exists"):
        merge([first, second, third], tmp_path / "whole.h5")
