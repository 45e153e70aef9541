"""Images: every layout is read back byte for byte, splits keep their promises, a bad file costs one sentence."""

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

from symflow.errors import UserError
from symflow.vision.data import _readers
from symflow.vision.data.images import Batches, Images, Statistics, from_dataset, load, split

RNG = np.random.default_rng(0)


def pixels(count, channels=3, height=32, width=32):
    return RNG.integers(0, 256, (count, channels, height, width), dtype=np.uint8)


def random_images(count=60, classes=3):
    labels = torch.arange(count) % classes
    return Images(torch.from_numpy(pixels(count, 3, 8, 8)), labels, tuple("abcdefgh"[:classes]), "random")


def refused(sentence, call, *args):
    with pytest.raises(UserError) as caught:
        call(*args)
    text = str(caught.value)
    assert sentence in text
    assert "\n" not in text


# ---------------------------------------------------------------- CIFAR-10


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
        (pickle.dumps(Hostile(os.system, "touch /tmp/owned")), "posix.system"),
        (pickle.dumps({"data": ROWS, "labels": Hostile(eval, "1")}), "builtins.eval"),
        (pickle.dumps({"data": ROWS, "labels": [1], "x": np.float64(1)}, 4), "numpy._core.multiarray.scalar"),
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
def test_hostile_pickles_are_refused(tmp_path, content, sentence):
    write_batches(tmp_path, write_python2)
    (tmp_path / "data_batch_3").write_bytes(content)
    refused(sentence, load, tmp_path)
    assert not Path("/tmp/owned").exists()


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


def test_nothing_that_a_pickle_names_is_called():
    loaded = _readers.unpickle(b"\x80\x02cnumpy\ndtype\n" + b"U\x01O" + b"\x85R.")
    assert type(loaded).__module__ == "symflow.vision.data._readers"


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


# ---------------------------------------------------------------- MNIST


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


# ---------------------------------------------------------------- folders, datasets


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


class Pairs(torch.utils.data.Dataset):
    def __init__(self, images, labels):
        self.pairs = list(zip(images, labels, strict=True))

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, index):
        return self.pairs[index]


def test_datasets_come_back():
    images, labels = pixels(6), [0, 1, 2, 0, 1, 2]
    forms = {
        "pictures": [Image.fromarray(i.transpose(1, 2, 0)) for i in images],
        "arrays": [i.transpose(1, 2, 0) for i in images],
        "tensors": list(torch.from_numpy(images)),
        "real": list(torch.from_numpy(images) / 255),
    }
    for form in forms.values():
        found = from_dataset(Pairs(form, labels))
        assert np.array_equal(found.pixels.numpy(), images)
        assert found.labels.tolist() == labels
        assert found.classes == ("0", "1", "2")
    grey = from_dataset(Pairs([Image.fromarray(i[0]) for i in images], labels), classes=("a", "b", "c"))
    assert np.array_equal(grey.pixels.numpy(), images[:, :1])


@pytest.mark.parametrize(
    ("images", "labels", "sentence"),
    [
        ([], [], "at least one entry"),
        (list(torch.zeros(2, 3, 4, 4)), [0, "cat"], "entry 1"),
        (list(torch.full((2, 3, 4, 4), 2.0)), [0, 1], "from 0 to 1"),
        ([torch.zeros(3, 4, 4), torch.zeros(3, 4, 5)], [0, 1], "one shape"),
        (list(torch.zeros(2, 4, 4)), [0, 1], "three axes"),
        ([torch.zeros(3, 0, 4)], [0], "three axes"),
        ([torch.full((3, 4, 4), float("nan"))], [0], "from 0 to 1"),
        (["cat.png"], [0], "got str"),
        ([{}], [0], "got dict"),
        ([0.5], [0], "three axes"),
        (list(torch.zeros(2, 3, 4, 4)), [0, -1], "from 0 to 0"),
    ],
)
def test_broken_datasets(images, labels, sentence):
    refused(sentence, from_dataset, Pairs(images, labels))


# ---------------------------------------------------------------- Images, splits, batches


def test_images_are_checked():
    good = torch.zeros(2, 3, 4, 4, dtype=torch.uint8), torch.tensor([0, 1])
    for pixels_, labels, error, sentence in (
        (good[0].float(), good[1], TypeError, "torch.uint8"),
        (good[0], good[1].int(), TypeError, "torch.int64"),
        (good[0][0], good[1], ValueError, r"\[N, C, H, W\]"),
        (good[0], good[1][:1], ValueError, "shape"),
        (good[0], good[1] + 1, ValueError, "from 0 to 1"),
    ):
        with pytest.raises(error, match=sentence):
            Images(pixels_, labels, ("a", "b"), "bad")


def test_parts_of_images():
    images = random_images()
    for index in (slice(3, 7), torch.arange(3, 7), [3, 4, 5, 6], torch.arange(60).sub(4.5).abs() < 2):
        assert torch.equal(images[index].pixels, images.pixels[3:7])
        assert torch.equal(images[index].labels, images.labels[3:7])
    with pytest.raises(TypeError, match="slice"):
        images[3]


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.37, 0.5, 0.9])
def test_a_split_is_stratified_and_a_partition(fraction):
    images = random_images(300)
    images = images[torch.randperm(300, generator=torch.Generator().manual_seed(0))]
    one, other = split(images, fraction, seed=5)
    assert one.labels.bincount().tolist() == [max(round(fraction * 100), 1)] * 3
    both = torch.cat([one.pixels, other.pixels]).flatten(1)
    assert sorted(both.tolist()) == sorted(images.pixels.flatten(1).tolist())
    assert torch.equal(split(images, fraction, seed=5)[0].pixels, one.pixels)
    assert not torch.equal(split(images, fraction, seed=6)[0].pixels, one.pixels)


def test_a_split_refuses_what_is_no_fraction():
    for fraction in (0.0, 1.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="`fraction`"):
            split(random_images(), fraction, 0)


def test_statistics_against_double_precision():
    images = random_images(2500)
    values = images.pixels.double() / 255
    found = Statistics.of(images)
    torch.testing.assert_close(torch.tensor(found.mean).double(), values.mean((0, 2, 3)), rtol=1e-6, atol=0)
    std = values.var((0, 2, 3), correction=0).sqrt()
    torch.testing.assert_close(torch.tensor(found.std).double(), std, rtol=1e-6, atol=0)
    normal = found.normalise(images.pixels)
    torch.testing.assert_close(normal.mean((0, 2, 3)), torch.zeros(3), rtol=0, atol=1e-5)
    torch.testing.assert_close(normal.square().mean((0, 2, 3)), torch.ones(3), rtol=0, atol=1e-5)
    torch.testing.assert_close(found.denormalise(normal), images.pixels / 255)
    with pytest.raises(ValueError, match="at least one image"):
        Statistics.of(images[:0])


def seen(batches, epoch):
    return [(x.clone(), y.clone()) for x, y in batches.epoch(epoch)]


def test_every_image_once_an_epoch():
    images = random_images(60)
    batches = Batches(images, Statistics.of(images), 12, seed=1)
    x = torch.cat([x for x, _ in seen(batches, 0)])
    assert len(batches) == 5
    expected = Statistics.of(images).normalise(images.pixels).flatten(1)
    assert sorted(x.flatten(1).tolist()) == sorted(expected.tolist())
    first, again, later = (torch.cat([y for _, y in seen(batches, e)]) for e in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, later)


def test_flips_mirror_about_half_of_the_images():
    images = random_images(600)
    statistics = Statistics.of(images)
    plain, flipped = (Batches(images, statistics, 100, seed=1, flip=f) for f in (False, True))
    mirrored = 0
    for (x, labels), (y, others) in zip(seen(plain, 3), seen(flipped, 3), strict=True):
        assert torch.equal(labels, others)
        same, mirror = ((x - z).flatten(1).abs().amax(1) == 0 for z in (y, y.flip(-1)))
        assert bool((same ^ mirror).all())
        mirrored += int(mirror.sum())
    assert 250 < mirrored < 350  # four standard deviations of a fair coin


def test_workers_share_every_batch():
    images = random_images(60)
    statistics = Statistics.of(images)
    whole = seen(Batches(images, statistics, 12, seed=1, flip=True), 2)
    shares = [seen(Batches(images, statistics, 12, seed=1, flip=True, rank=r, workers=3), 2) for r in range(3)]
    for number, (x, labels) in enumerate(whole):
        for rank in range(3):
            assert torch.equal(shares[rank][number][0], x[rank::3])
            assert torch.equal(shares[rank][number][1], labels[rank::3])


def test_batches_are_checked():
    images = random_images(4)
    statistics = Statistics.of(images)
    assert len(Batches(images, statistics, 128, seed=0)) == 1
    for arguments in ({"size": 0}, {"size": 4, "rank": 2, "workers": 2}, {"size": 4, "workers": 5}):
        with pytest.raises(ValueError, match="must be"):
            Batches(images, statistics, seed=0, **arguments)


# ---------------------------------------------------------------- the real sets


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
