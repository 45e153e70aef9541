"""Every kernel is tested with every instruction set that the machine has."""

from collections.abc import Iterator

import pytest

from kernels import ISAS, instruction_set


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    with instruction_set(request.param):
        yield request.param
