"""The emulation finds the faults it is there to find, and runs faultless kernels right."""

import pytest
import torch


@pytest.fixture
def faults(emulated):
    return emulated("faults")


@pytest.fixture
def refused(faults):
    def call(message, *arguments):
        with pytest.raises(Exception, match=message) as caught:
            faults(*arguments)
        assert type(caught.value).__name__ == "LaunchError"

    return call


@pytest.mark.parametrize("seed", range(5))
def test_a_missing_barrier_shows(faults, seed):
    faults.seed(seed)
    x = torch.randint(-9, 9, (6, 64)).float()
    found = torch.full((6,), torch.nan)
    faults("tree", x, 6, found, 1)
    assert torch.equal(found, x.sum(1))
    faults("tree", x, 6, found, 0)
    assert not (found == x.sum(1)).any()


def test_an_overrun_shows(faults, refused):
    faults("overrun", 99)
    refused("wrote 1 bytes behind its shared memory of 100 bytes", "overrun", 100)
    refused("wrote 41 bytes behind its shared memory of 100 bytes", "overrun", 140)
    refused("wrote 8 bytes before its shared memory of 100 bytes", "overrun", -8)


def test_unwritten_shared_memory_is_nan(faults):
    found = torch.zeros(1)
    faults("unwritten", found)
    assert found.isnan().all()


def test_divergence_shows(faults, refused):
    faults("divergence", 64)
    faults("divergence", 0)
    refused(r"17 of 64 wait at faults.cpp:\d+, which the others never reach", "divergence", 17)
    faults("different", 64)
    refused(r"64 of 64 wait at faults.cpp:\d+ and elsewhere", "different", 33)
    faults("shuffle", 32)
    refused(r"threads of a warp part: 7 of 32 wait at faults.cpp:\d+", "shuffle", 39)


def test_warp_operations(faults):
    x = torch.arange(64.0) ** 2
    found = torch.full((6, 64), torch.nan)
    faults("operations", x, found)
    lane, warps = torch.arange(32), x.view(2, 32)
    expected = [
        warps[:, (lane + 5) % 32],
        warps[:, torch.where(lane + 3 < 32, lane + 3, lane)],
        warps[:, torch.where(lane >= 3, lane - 3, lane)],
        warps.sum(1, keepdim=True).expand(2, 32),
        torch.full((2, 32), float(0b10101010)),
        warps[:, lane // 8 * 8 + 2],
    ]
    assert torch.equal(found.view(6, 2, 32), torch.stack(expected))


def test_blocks_count_on_integer_atomics(faults):
    arrived, last = torch.zeros(1, dtype=torch.int32), torch.zeros(1, dtype=torch.int32)
    faults("last", arrived, last)
    assert (arrived.item(), last.item()) == (7, 7)


def test_shared_memory_is_limited_as_on_a_device(faults, refused):
    faults("much_memory", 227 * 1024)
    refused("returned the CUDA error 1", "much_memory", 227 * 1024 + 1)


def test_arrays_are_guarded(faults):
    with pytest.raises(AssertionError, match="behind the end of an array"):
        faults("tree", torch.zeros(2, 64), 2, torch.zeros(1), 1)
