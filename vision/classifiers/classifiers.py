"""Classifiers trained and tested: one schedule, seeds that decide everything, checkpoints that continue exactly."""

from __future__ import annotations

import math
import os
import time

import torch
import torch.distributed as dist
from torch import nn

from symflow.errors import UserError
from symflow.learning import (
    CHECKPOINT_SECONDS,
    Record,
    StepReport,
    digest,
    has_bfloat16,
    restore_training,
    save_training,
    schedule,
    seeded,
)

from ..data import Batches, Images, Statistics, epoch_seed
from ..features import ImageNetwork

_MOMENTUM = 0.9


def train(
    network: ImageNetwork,
    images: Images,
    *,
    epochs: int,
    seed: int,
    augment: nn.Module | None = None,
    statistics: Statistics | None = None,
    flip: bool = False,
    batch: int = 64,
    rate: float = 0.1,
    decay: float = 5e-4,
    bfloat16: bool | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: StepReport | None = None,
) -> list[Record]:
    """Trains a classifier in place, on the device its parameters are on, and leaves it in evaluation mode.

    Stochastic gradient descent with Nesterov momentum .9 on the cross-entropy; the learning rate rises linearly from 0
    in the first fifth of the steps and falls linearly to 0 in the others. Weights of convolutions and of the last layer
    decay, biases and normalisations do not. What comes out is the network after the last step: no epoch is picked.

    Order, flips and the draws of ``augment`` depend on the seed and the epoch alone. With a ``checkpoint``, every epoch
    replaces that file, those of less than five seconds together; when it is there already, training continues after its
    last epoch and ends with the bits of one that was not interrupted (on a GPU as far as torch's convolutions are
    deterministic).

    Under ``torchrun``, within `symflow.learning.distributed`, each batch is shared out among the workers and gradients
    are averaged; normalisations see each worker's share. Worker 0 writes the checkpoint.

    Args:
        network: with initial parameters.
        images: the training part.
        epochs: at least 1; in each, every image at most once, but for those that fill no batch.
        seed: of everything drawn.
        augment: from normalised images ``[B, C, H, W]`` to such; it draws from torch's own generator.
        statistics: that normalise the images; by default theirs.
        flip: mirror from left to right with probability 1/2.
        batch: images in a step, those of all workers together; at least two for each worker.
        rate: the highest learning rate.
        decay: of weights, times the rate, in every step.
        bfloat16: compute convolutions in bfloat16 (autocast); by default where the device has instructions for it.
        checkpoint: path of the file to continue from.
        progress: called after every epoch.

    Returns:
        For every epoch ``"epoch"``, from 1, ``"loss"`` and ``"accuracy"``, means over what was trained on, and
        ``"seconds"``.

    Raises:
        ValueError: ``epochs`` is below 1.
        UserError: a worker would get fewer than two images of a batch, the images are too small for the network, the
            loss is not finite, or the checkpoint belongs to another training.
    """
    if epochs < 1:
        raise ValueError(f"`epochs` must be at least 1, got {epochs}")
    device = next(network.parameters()).device
    rank, workers = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    check_shares(batch, len(images), workers)
    network.check_sides(images.pixels)
    statistics = statistics or Statistics.of(images)
    batches = Batches(images, statistics, batch, seed, flip, device, rank, workers)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = _optimizer(network, rate, decay)
    half = has_bfloat16(device) if bfloat16 is None else bfloat16
    asked = {
        "epochs": epochs,
        "seed": seed,
        "images": digest(images.pixels, images.labels),
        "flip": flip,
        "batch": batch,
        "rate": rate,
        "decay": decay,
        "bfloat16": half,
        "augment": None if augment is None else repr(augment) + digest(*augment.state_dict().values()),
        "statistics": [*statistics.mean, *statistics.std],
    }
    history = restore_training(checkpoint, network, optimizer, asked)
    saved = time.perf_counter()
    model: nn.Module = nn.parallel.DistributedDataParallel(network) if workers > 1 else network
    network.train()
    for epoch in range(len(history), epochs):
        begun = time.perf_counter()
        totals = torch.zeros(3, device=device)  # loss, hits, images
        with seeded(epoch_seed(seed, epoch, rank), device):
            for number, (x, labels) in enumerate(batches.epoch(epoch)):
                share = (epoch * len(batches) + number + 1) / (epochs * len(batches))
                for group in optimizer.param_groups:
                    group["lr"] = rate * schedule(share)
                if augment is not None:
                    x = augment(x).contiguous(memory_format=torch.channels_last)
                with torch.autocast(device.type, torch.bfloat16, enabled=half):
                    logits = model(x)
                    loss = nn.functional.cross_entropy(logits, labels)
                optimizer.zero_grad(set_to_none=True)
                (loss * (len(x) * workers / batches.whole)).backward()  # the mean over all: shares may be uneven
                optimizer.step()
                hits = (logits.detach().argmax(1) == labels).sum()
                totals += torch.stack([loss.detach().float() * len(x), hits.float(), totals.new_tensor(len(x))])
        if workers > 1:
            dist.all_reduce(totals)
        loss_sum, hit_sum, count = totals.tolist()
        if not math.isfinite(loss_sum):
            raise UserError(
                f"training diverged: the loss must stay finite, got {loss_sum / count} in epoch {epoch + 1}"
            )
        record = {
            "epoch": epoch + 1,
            "loss": loss_sum / count,
            "accuracy": hit_sum / count,
            "seconds": time.perf_counter() - begun,
        }
        history.append(record)
        due = epoch + 1 == epochs or time.perf_counter() - saved >= CHECKPOINT_SECONDS
        if checkpoint is not None and rank == 0 and due:
            save_training(checkpoint, network, optimizer, {"asked": asked, "history": history})
            saved = time.perf_counter()
        if progress is not None and rank == 0:
            progress(epoch + 1, record)
    if workers > 1:  # normalisations have seen different shares
        for buffer in network.buffers():
            dist.broadcast(buffer, 0)
    network.eval()
    return history


def check_shares(batch: int, images: int, workers: int) -> None:
    """Every worker needs two images of a batch: where the picture has shrunk to a pixel, one has nothing to normalise.

    Args:
        batch: images in a step, those of all workers together.
        images: how many there are; fewer than a batch are one batch.
        workers: that share it.

    Raises:
        UserError: a worker would get fewer.

    >>> check_shares(64, 5, 2)
    """
    if min(batch, images) < 2 * workers:
        raise UserError(
            "`batch` and the number of images must be at least "
            + ("2" if workers == 1 else f"{2 * workers}, two for each of {workers} workers")
            + f", for normalisations compare the images of a batch; got a batch of {batch} and {images} to learn from"
        )


@torch.no_grad()
def accuracy(
    network: ImageNetwork,
    images: Images,
    statistics: Statistics,
    *,
    copies: int = 1,
    augment: nn.Module | None = None,
    seed: int = 0,
) -> float:
    """The share of images whose class is the network's first choice.

    With ``copies`` above 1 the choice is that of the mean probabilities over the image itself and ``copies - 1`` images
    that ``augment`` makes of it; compare only networks with the same number. Nothing is flipped here.

    Args:
        network: left in evaluation mode.
        images: those to classify.
        statistics: with which the network's training images were normalised.
        copies: at least 1.
        augment: what makes the other copies.
        seed: of its draws.

    Raises:
        ValueError: ``copies`` is below 1 or there is no image, or more copies are asked for without ``augment``.
    """
    if copies < 1 or len(images) == 0:
        raise ValueError(f"`copies` and the number of images must be at least 1, got {copies} and {len(images)}")
    if copies > 1 and augment is None:
        raise ValueError(f"`augment` must make the other {copies - 1} copies, got none")
    network.eval()
    device = next(network.parameters()).device
    hits = 0
    with seeded(seed, device):
        for pixels, labels in zip(images.pixels.split(500), images.labels.split(500), strict=True):
            x = statistics.normalise(pixels.to(device)).contiguous(memory_format=torch.channels_last)
            probabilities = network(x).softmax(1)
            for _ in range(copies - 1):
                probabilities += network(augment(x)).softmax(1)  # type: ignore[misc]
            hits += int((probabilities.argmax(1) == labels.to(device)).sum())
    return hits / len(images)


def _optimizer(network: nn.Module, rate: float, decay: float) -> torch.optim.SGD:
    weights = [p for p in network.parameters() if p.dim() > 1]
    others = [p for p in network.parameters() if p.dim() <= 1]
    groups = [{"params": weights, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.SGD(groups, lr=rate, momentum=_MOMENTUM, nesterov=True)
