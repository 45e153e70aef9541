"""One thread for sums and small matrices: torch splits both by the number of threads, and their bits with them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """A context, or decorator, in which the bits of torch do not depend on how many threads there are.

    The sum of all elements of a large tensor is one of partial sums, a part for each thread, and MKL splits products
    and factorisations likewise. Matrices of a hundred rows gain nothing from threads anyway.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
