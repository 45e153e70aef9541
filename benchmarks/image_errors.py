"""How often motions no better than their patches get a word: simulated null hypotheses of docs/vision.md.

``python benchmarks/image_errors.py`` draws sums ``b_i ~ N(0, M_i)`` for two judges that share half of their response
of images whose weights vary by a factor ``exp(2 tail z)`` with normal z, and counts. It takes a minute.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from _common import print_table, write_results
from torch import Tensor

from symflow.vision.validity import Products, by_agreement, by_coherence, estimate

SHARED = 0.5  # correlation of the two judges' responses
CASES = [(100, 0.0), (100, 0.5), (400, 0.0), (400, 0.5), (400, 1.0), (2000, 0.5), (2000, 1.0), (8000, 0.5), (8000, 1.0)]
FIELDS = 8  # at once; each is drawn by itself


def draws(images: int, tail: float, seed: int) -> Products:
    """Two judges and their sums out of step, field by field."""
    random = torch.Generator().manual_seed(seed)
    weight = torch.exp(2 * tail * torch.randn(images, 1, generator=random))
    own = weight * torch.randn(8, images, FIELDS, generator=random).square().mean(0)  # M of each judge
    first, other = torch.randn(2, images, FIELDS, generator=random)
    second = SHARED * first + (1 - SHARED**2) ** 0.5 * other
    total = own.sqrt()[:, None] * torch.stack([first, second], 1)
    judges = torch.tensor([[1.0, SHARED], [SHARED, 1.0]])
    return Products(total, torch.diag_embed(own[:, None, None] * judges[None, :, :, None]))


def jackknife_alone(products: Products) -> Tensor:
    """Whether lambda of the first judge is called below 1 by errors that come from the images only."""

    def ratio(forms: tuple[Tensor, Tensor]) -> Tensor:
        cost, local = (form[:, 0, 0].diagonal(dim1=1, dim2=2) for form in forms)
        return cost / local

    return estimate(ratio, products).below(1.0, 0.99)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fields", type=int, default=2_000, help="for each case")
    parser.add_argument("--out", type=Path, help="JSON file; default: benchmarks/results/image_errors.json")
    arguments = parser.parse_args()

    cases = []
    for images, tail in CASES:
        names = (
            "agreement measured",
            "agreement refuted",
            "coherence measured",
            "coherence refuted",
            "jackknife alone",
        )
        counts = dict.fromkeys(names, 0)
        for seed in range(arguments.fields // FIELDS):
            products = draws(images, tail, seed)
            first = Products(products.total[:, :1], products.local[:, :1, :1])
            for rule, judged in (("agreement", by_agreement(products)), ("coherence", by_coherence(first, []))):
                for said, _ in judged:
                    if said.word != "cannot be told":
                        counts[f"{rule} {said.word}"] += 1
            counts["jackknife alone"] += int(jackknife_alone(products).sum())
        fields = arguments.fields // FIELDS * FIELDS
        rates = {name: count / fields for name, count in counts.items()}
        cases.append({"images": images, "tail": tail, "fields": fields, "rates": rates})
    rows = [[str(c["images"]), f"{c['tail']:g}", *(f"{rate:.2%}" for rate in c["rates"].values())] for c in cases]
    print_table(("images", "tail", *cases[0]["rates"]), rows)
    write_results("image_errors", {"shared": SHARED, "cases": cases}, arguments.out)


if __name__ == "__main__":
    main()
