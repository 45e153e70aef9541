"""Images from folders, whole, damaged and hostile."""

from __future__ import annotations

import contextlib
import gzip
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from small_images import RNG, pixels, refused
from symflow.errors import UserError
from symflow.vision.data import _readers
from symflow.vision.data.batches import Statistics
from symflow.vision.data.files import load


def python2_pickle(rows: np.ndarray, labels: list[int], fortran=False) -> bytes:
    """A batch with the instructions of the published files, which Python 2 wrote; put together here by hand."""

    def text(value: bytes) -> bytes:
        return b"U" + bytes([len(value)]) + value

    raw = rows.tobytes(order="F" if fortran else "C")
    shape = b"".join(b"M" + struct.pack("<H", n) for n in rows.shape) + b"\x86"
    numbers = b"".join(b"K" + bytes([label]) for label in labels)
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85" + text(b"b") + b"\x87R"
        b"(K\x01" + shape + b"cnumpy\ndtype\nq\x03" + text(b"u1") + b"K\x00K\x01\x87R"
        b"(K\x03" + text(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        + (b"\x88" if fortran else b"\x89") + b"T" + struct.pack("<i", len(raw)) + raw + b"tb"
    )  # fmt: skip
    return (
        b"\x80\x02}q\x00(" + text(b"batch_label") + text(b"a batch") + text(b"labels") + b"](" + numbers + b"e"
        + text(b"data") + array + text(b"filenames") + b"](" + text(b"cat.png") + b"eu."
    )  # fmt: skip


def write_batches(folder: Path, write, count=4):
    """All six batches; gives what was written."""
    folder.mkdir(exist_ok=True)
    images, labels = pixels(6 * count), RNG.integers(0, 10, 6 * count)
    for n, name in enumerate([f"data_batch_{n}" for n in range(1, 6)] + ["test_batch"]):
        part = slice(n * count, (n + 1) * count)
        write(folder / name, images[part].reshape(count, -1), labels[part].tolist())
    return images, labels


def write_python2(path, rows, labels):
    path.write_bytes(python2_pickle(rows, labels))


def write_python2_fortran(path, rows, labels):
    path.write_bytes(python2_pickle(rows, labels, fortran=True))


def write_python3(path, rows, labels):
    path.write_bytes(pickle.dumps({"data": rows, "labels": labels}, protocol=4))


def write_binary(path, rows, labels):
    path.with_suffix(".bin").write_bytes(np.concatenate([np.array(labels, np.uint8)[:, None], rows], 1).tobytes())


@pytest.mark.parametrize("write", [write_python2, write_python2_fortran, write_python3, write_binary])
def test_cifar_comes_back(tmp_path, write):
    images, labels = write_batches(tmp_path, write)
    train, test = load(tmp_path)
    assert torch.equal(torch.cat([train.pixels, test.pixels]), torch.from_numpy(images))
    assert torch.equal(torch.cat([train.labels, test.labels]), torch.from_numpy(labels))
    assert (len(train), len(test)) == (20, 4)
    assert train.classes[3] == "cat"


def test_python2_bytes_are_what_python_reads():
    rows = pixels(3).reshape(3, -1)
    for fortran in (False, True):
        batch = pickle.loads(python2_pickle(rows, [1, 2, 3], fortran), encoding="bytes")
        assert np.array_equal(batch[b"data"], rows)
        assert batch[b"labels"] == [1, 2, 3]


class Hostile:
    def __init__(self, function, *args):
        self.parts = function, args

    def __reduce__(self):
        return self.parts


ROWS = pixels(1).reshape(1, -1)
MEMO = b"\x80\x02}r\xff\xff\xff\xff."
DEEP = b"\x80\x02}" + b")" + b"\x85" * 100_000 + b"K\x00s."
HUGE = b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60) + b"."


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (pickle.dumps(Hostile(os.system, "touch owned")), "posix.system"),
        (pickle.dumps({"data": ROWS, "labels": Hostile(eval, "1")}), "builtins.eval"),
        (pickle.dumps({"data": ROWS, "labels": [1], "x": np.float64(1)}, 4), "core.multiarray.scalar"),
        (b"cos\nsystem\n(S'ls'\ntR.", "the instruction"),
        (b"cnumpy\nload\n.", "numpy.load"),
        (b"\x80\x04\x8c\x05numpy\x8c\x10core.os.getcwdxx\x93.", "numpy.core.os"),
        (b"\x80\x02U\x01aQ.", "the instruction BINPERSID"),
        (MEMO, "numbers an object"),
        (DEEP, "tuples"),
        (HUGE, "none"),
        (python2_pickle(ROWS, [1])[:-100], "none"),
        (pickle.dumps([1]), "no dictionary"),
        (pickle.dumps({"labels": [1]}), "`data` is no array"),
        (pickle.dumps({"data": ROWS.astype(np.float32), "labels": [1]}, 4), "uint8"),
        (pickle.dumps({"data": ROWS[:, :-1], "labels": [1]}, 4), "3,072"),
        (pickle.dumps({"data": ROWS, "labels": [1, 2]}, 4), "a label for each"),
        (pickle.dumps({"data": ROWS, "labels": [10]}, 4), "0 to 9"),
        (pickle.dumps({"data": ROWS, "labels": [True]}, 4), "0 to 9"),
        (pickle.dumps({"data": ROWS, "labels": 1}, 4), "no list"),
        (python2_pickle(ROWS, [1]).replace(b"M\x01\x00M\x00\x0c", b"M\xff\xffM\xff\xff"), "size of `data`"),
        (b"", "none"),
        (b"\x89PNG\r\n\x1a\n", "none"),
    ],
    ids=range(22),
)
def test_hostile_pickles_are_refused(tmp_path, monkeypatch, content, sentence):
    monkeypatch.chdir(tmp_path)  # where what runs would leave its mark
    write_batches(tmp_path, write_python2)
    (tmp_path / "data_batch_3").write_bytes(content)
    refused(sentence, load, tmp_path)
    assert not Path("owned").exists()


@pytest.mark.parametrize("seed", range(4))
def test_damaged_batches_are_read_or_refused(tmp_path, seed):
    """Whatever bytes change, the answer is a batch or one sentence."""
    rng = np.random.default_rng(seed)
    good = python2_pickle(ROWS, [1])
    structure = [n for n in range(len(good)) if not 250 < n < 3200]  # most of the bytes between are pixels
    for _ in range(150):
        damaged = bytearray(good)
        for place in rng.choice(structure, rng.integers(1, 4)):
            damaged[place] = rng.integers(256)
        path = tmp_path / "batch"
        path.write_bytes(damaged)
        with contextlib.suppress(UserError):
            rows, labels = _readers.cifar_pickle(path)
            assert rows.shape == (1, 3, 32, 32)
            assert rows.dtype == np.uint8
            assert 0 <= labels[0] < 10


@pytest.mark.parametrize("write", [write_python2, write_binary])
def test_a_missing_batch(tmp_path, write):
    write_batches(tmp_path, write)
    next(tmp_path.glob("data_batch_4*")).unlink()
    refused("data_batch_4", load, tmp_path)


def test_a_binary_batch_cut_short(tmp_path):
    write_batches(tmp_path, write_binary)
    path = tmp_path / "test_batch.bin"
    path.write_bytes(path.read_bytes()[:-1])
    refused("records of 3,073 bytes", load, tmp_path)
    path.write_bytes(b"")
    refused("records of 3,073 bytes", load, tmp_path)


def test_a_file_without_bound(tmp_path, monkeypatch):
    write_batches(tmp_path, write_python2)
    monkeypatch.setattr(_readers, "LARGEST_FILE", 1000)
    refused("at most 1,000 bytes", load, tmp_path)


def idx(values: np.ndarray, kind=8) -> bytes:
    return bytes((0, 0, kind, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


def write_mnist(folder, parts=("train", "t10k"), pack=gzip.compress, suffix=".gz", mark="-", count=40):
    written = {}
    for part in parts:
        images, labels = pixels(count, 1, 28, 28)[:, 0], (np.arange(count) % 10).astype(np.uint8)
        (folder / f"{part}-images{mark}idx3-ubyte{suffix}").write_bytes(pack(idx(images)))
        (folder / f"{part}-labels{mark}idx1-ubyte{suffix}").write_bytes(pack(idx(labels)))
        written[part] = images, labels
    return written


@pytest.mark.parametrize(("pack", "suffix", "mark"), [(gzip.compress, ".gz", "-"), (bytes, "", "-"), (bytes, "", ".")])
def test_mnist_comes_back(tmp_path, pack, suffix, mark):
    written = write_mnist(tmp_path, pack=pack, suffix=suffix, mark=mark)
    for images, part in zip(load(tmp_path), ("train", "t10k"), strict=True):
        assert np.array_equal(images.pixels[:, 0].numpy(), written[part][0])
        assert np.array_equal(images.labels.numpy(), written[part][1])


def test_mnist_without_its_training_part(tmp_path):
    images, labels = write_mnist(tmp_path, ("t10k",))["t10k"]
    train, test = load(tmp_path)
    assert (len(train), len(test)) == (30, 10)  # a fifth of four digits of each kind, at least one
    assert train.name == "MNIST, 30 of 40 images, for training"
    together = torch.cat([train.pixels, test.pixels])[:, 0].flatten(1).tolist()
    assert sorted(together) == sorted(images.reshape(40, -1).tolist())
    again, _ = load(tmp_path)
    assert torch.equal(train.pixels, again.pixels)
    assert labels.size == 40


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("t10k-images-idx3-ubyte.gz", b"no gzip", "compressed with gzip"),
        (
            "t10k-images-idx3-ubyte.gz",
            gzip.compress(idx(np.zeros((40, 28, 28), np.uint8)))[:60],
            "compressed with gzip",
        ),
        ("t10k-images-idx3-ubyte.gz", gzip.compress(idx(np.zeros((40, 28, 28), np.uint8))[:-1]), "31,360 bytes"),
        ("t10k-images-idx3-ubyte.gz", gzip.compress(idx(np.zeros((40, 28, 28), np.uint8)) + b"x"), "31,360 bytes"),
        ("t10k-images-idx3-ubyte.gz", gzip.compress(bytes((0, 0, 8, 3)) + b"\xff" * 12), "after its header"),
        ("t10k-images-idx3-ubyte.gz", gzip.compress(idx(np.zeros((0, 28, 28), np.uint8))), "at least one"),
        (
            "t10k-images-idx3-ubyte.gz",
            gzip.compress(idx(np.zeros((40, 28, 28), np.float32), kind=13)),
            "unsigned bytes",
        ),
        ("t10k-images-idx3-ubyte.gz", gzip.compress(b""), "empty file"),
        ("t10k-labels-idx1-ubyte.gz", gzip.compress(idx(np.zeros(39, np.uint8))), "39 labels"),
        ("t10k-labels-idx1-ubyte.gz", gzip.compress(idx(np.full(40, 10, np.uint8))), "0 to 9"),
        ("t10k-labels-idx1-ubyte.gz", None, "the labels of MNIST"),
    ],
    ids=range(11),
)
def test_broken_mnist(tmp_path, name, content, sentence):
    write_mnist(tmp_path)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    refused(sentence, load, tmp_path)


def test_a_small_file_that_decompresses_without_bound(tmp_path, monkeypatch):
    write_mnist(tmp_path)
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(bytes(100_000)))
    monkeypatch.setattr(_readers, "LARGEST_FILE", 50_000)
    refused("when decompressed", load, tmp_path)


def write_pictures(folder, images, labels, suffix=".png"):
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        (folder / label).mkdir(parents=True, exist_ok=True)
        picture = image[0] if image.shape[0] == 1 else image.transpose(1, 2, 0)
        Image.fromarray(picture).save(folder / label / f"{number:03}{suffix}")


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_come_back(tmp_path, channels):
    images, labels = pixels(20, channels, 9, 12), ["dog", "cat"] * 10
    for part in ("train", "test"):
        write_pictures(tmp_path / part, images, labels)
    train, test = load(tmp_path)
    order = list(range(1, 20, 2)) + list(range(0, 20, 2))  # cats first
    assert np.array_equal(train.pixels.numpy(), images[order])
    assert torch.equal(train.pixels, test.pixels)
    assert train.labels.tolist() == [0] * 10 + [1] * 10
    assert train.classes == ("cat", "dog")


def test_pictures_in_one_part_are_split(tmp_path):
    write_pictures(tmp_path / "pets", pixels(20), ["dog", "cat"] * 10)
    train, test = load(tmp_path / "pets")
    assert train.labels.bincount().tolist() == [8, 8]
    assert test.labels.bincount().tolist() == [2, 2]
    assert test.name == "pets, 4 of 20 images, for the test"


def test_one_picture_of_each_class_cannot_be_split(tmp_path):
    write_pictures(tmp_path, pixels(2), ["dog", "cat"])
    refused("two images or more", load, tmp_path)


def test_broken_pictures(tmp_path):
    write_pictures(tmp_path, pixels(4), ["dog", "cat"] * 2)
    (tmp_path / "cat" / "zzz.png").write_bytes(b"no picture")
    refused("zzz.png", load, tmp_path)
    write_pictures(tmp_path, pixels(1, height=31), ["cat"])
    (tmp_path / "cat" / "000.png").rename(tmp_path / "cat" / "zzz.png")
    refused("32 x 32, got 32 x 31", load, tmp_path)
    Image.fromarray(np.zeros((32, 32), np.uint16)).save(tmp_path / "cat" / "zzz.png")
    refused("8 bits per channel", load, tmp_path)
    (tmp_path / "cat" / "zzz.png").write_bytes((tmp_path / "cat" / "001.png").read_bytes()[:200])
    refused("a picture that can be read", load, tmp_path)


def test_folders_that_hold_no_images(tmp_path):
    refused("not there", load, tmp_path / "nowhere")
    refused("none of these", load, tmp_path)
    (tmp_path / "cat").mkdir()
    refused("got none", load, tmp_path)
    (tmp_path / "file").write_text("")
    refused("a file", load, tmp_path / "file")


def test_test_classes_must_be_known(tmp_path):
    write_pictures(tmp_path / "train", pixels(2), ["cat", "dog"])
    write_pictures(tmp_path / "test", pixels(2), ["cat", "emu"])
    refused("emu", load, tmp_path)


def reference(name):
    folder = os.environ.get("SYMFLOW_DATA")
    if not folder:
        pytest.skip("SYMFLOW_DATA does not name the folder with reference data")
    return Path(folder) / name


@pytest.mark.slow
def test_cifar_itself():
    train, test = load(reference("cifar-10-batches-py"))
    assert train.pixels.shape == (50_000, 3, 32, 32)
    assert train.labels.bincount().tolist() == [5000] * 10
    assert test.labels.bincount().tolist() == [1000] * 10
    # As published: frog, truck, truck, deer, automobile; the channel means that everyone normalises with.
    assert train.labels[:5].tolist() == [6, 9, 9, 4, 1]
    statistics = Statistics.of(train)
    torch.testing.assert_close(statistics.mean, (0.4914, 0.4822, 0.4465), rtol=0, atol=5e-5)
    torch.testing.assert_close(statistics.std, (0.2470, 0.2435, 0.2616), rtol=0, atol=5e-5)


def test_mnist_itself():
    train, test = load(reference("mnist"))
    assert len(train) + len(test) == 10_000
    assert train.pixels.shape[1:] == (1, 28, 28)
    counts = train.labels.bincount() + test.labels.bincount()
    assert counts.tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
