"""Augmentation of a batch beside the training step that it serves, on the same device.

    python benchmarks/bench_augment.py [--quick] [--out FILE.json]

Batches of 128 normalised images of 3 x 32 x 32 in float32, channels last, as training sees them (`--quick`: 32). A step
is forward, backward and update of the CIFAR ResNet-18 or of the small network, in the number type that `train` picks.
Augmentations: crop and flip; the six affine generators; ten smooth fields on 33 x 33 nodes; six changes of colour; and
those of others (`classifier_peers.py`), kornia's where it is installed. Times are medians over rounds that run every
contestant in turn, so that another load on the machine meets all of them; of a single thread the time that it had a
processor. On a GPU, where there is one, they end with a synchronisation.
"""

from __future__ import annotations

import time

import classifier_peers
import torch
from _common import Call, medians, options, print_table, print_targets, write_results
from torch import Tensor, nn

from symflow import GridField, SymbolicField
from symflow.learning.training import has_bfloat16
from symflow.vision import ColourAugment, CropFlip, GeneratorAugment, SmallResNet, affine_field, resnet18
from symflow.vision.data import Statistics
from symflow.vision.search.plane import AFFINE_FORMS, PLANE

STRENGTH = 0.2
QUADRATIC = ({"dx": "x**2"}, {"dx": "x*y"}, {"dy": "x*y"}, {"dy": "y**2"})
RESNET, SMALL = "ResNet-18 step", "small network step"
# A step over an augmentation: at most 5 % of the ResNet-18's.
AT_LEAST = 20.0


def step(network: nn.Module, images: Tensor, labels: Tensor) -> Call:
    network.to(images.device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9, nesterov=True)

    def run() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(images.device.type, torch.bfloat16, enabled=has_bfloat16(images.device)):
            loss = nn.functional.cross_entropy(network(images), labels)
        loss.backward()
        optimizer.step()

    return run


def contestants(batch: int, device: torch.device) -> tuple[dict[str, Call], ...]:
    """The steps, our augmentations and those of others, each a call on a batch of its own."""
    rng = torch.Generator().manual_seed(0)
    images = torch.randn(batch, 3, 32, 32, generator=rng).to(device, memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (batch,), generator=rng).to(device)
    ten = GridField.tabulate(SymbolicField(PLANE, [*AFFINE_FORMS, *QUADRATIC]), (33, 33), (-1.0, -1.0), (1.0, 1.0))
    modules: dict[str, nn.Module] = {
        "crop + flip": CropFlip(),
        "6 affine generators": GeneratorAugment(affine_field(), STRENGTH).to(device),
        "10 tabulated generators": GeneratorAugment(ten, STRENGTH).to(device),
        "6 changes of colour": ColourAugment(torch.randn(6, 3, 4, generator=rng), STRENGTH).to(device),
    }
    peers = classifier_peers.arms(Statistics((0.5,) * 3, (0.25,) * 3))
    others = {name: peer.to(device) if isinstance(peer, nn.Module) else peer(9) for name, peer in peers.items()}
    ours, theirs = (
        {
            name: lambda module=module: module(images).contiguous(memory_format=torch.channels_last)
            for name, module in these
        }
        for these in (modules.items(), others.items())
    )
    return {RESNET: step(resnet18(10), images, labels), SMALL: step(SmallResNet(10), images, labels)}, ours, theirs


def seconds(call: Call, device: torch.device, least: float) -> float:
    """Of one call, from as many as take `least` seconds together."""
    clock = time.process_time if device.type == "cpu" and torch.get_num_threads() == 1 else time.perf_counter
    begun, calls = clock(), 0
    while calls == 0 or clock() - begun < least:
        call()
        calls += 1
        if device.type == "cuda":
            torch.cuda.synchronize()
    return (clock() - begun) / calls


def main() -> None:
    arguments = options(__doc__, "fewer images and rounds").parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    batch, rounds = (32, 2) if arguments.quick else (128, 7)
    steps, augmentations, peers = contestants(batch, device)
    median = medians({**steps, **augmentations, **peers}, rounds, lambda call: seconds(call, device, 0.05))
    rows = [[name, f"{1e3 * median[name]:.2f}", f"{batch / median[name]:,.0f}", "", ""] for name in steps]
    for name in (*augmentations, *peers):
        shares = (f"{100 * median[name] / median[s]:.2f} %" for s in (RESNET, SMALL))
        rows.append([name, f"{1e3 * median[name]:.2f}", f"{batch / median[name]:,.0f}", *shares])
    where = torch.cuda.get_device_name() if device.type == "cuda" else "the CPU"
    print(f"batch {batch} on {where}, {torch.get_num_threads()} threads\n")
    print_table(("", "ms", "images/s", f"of {RESNET}", f"of {SMALL}"), rows)
    print()
    targets = print_targets([(f"{RESNET} / {n}", median[RESNET] / median[n], AT_LEAST) for n in augmentations])
    found = {"batch": batch, "device": where, "seconds": median, "targets": targets}
    write_results("augment", found, arguments.out)


if __name__ == "__main__":
    main()
