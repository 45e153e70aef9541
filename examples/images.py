# %% [markdown]
# # Images
# Which motions of the pixel plane leave what images show the same? Here a toy whose answer can be guessed: bars that
# lie or stand may be moved and turned a little, but not be squeezed, which makes one of the other. For real images a
# folder is enough, `vision.discover_images("cifar-10-batches-py")`: [Generators of images](../vision.md).
# %%
import matplotlib.pyplot as plt
import torch

from symflow import vision


def bars(count: int, size: int = 12) -> vision.Images:
    """Bright bars, lying or standing, at random places."""
    random = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % 2
    z = torch.linspace(-1, 1, size)
    centres = torch.rand(count, 2, generator=random) - 0.5
    wide = torch.stack([torch.where(labels == 0, 0.45, 0.12), torch.where(labels == 0, 0.12, 0.45)], 1)
    profiles = torch.exp(-((z - centres[..., None]) ** 2) / (2 * wide[..., None] ** 2))  # [N, 2, size]
    shapes = profiles[:, 1, :, None] * profiles[:, 0, None, :]
    pixels = 0.9 * shapes[:, None] + 0.05 * torch.rand(count, 1, size, size, generator=random)
    return vision.Images((255 * pixels).to(torch.uint8), labels, ("lying", "standing"), "bars")


images = bars(3000)
found = vision.discover_images(images, epochs=4, generators=6, locality=0.2)
for motion in found.motions:
    print(f"{motion.name:14s} {motion.data.word}")
# %% [markdown]
# A small network and a ridge classifier, trained apart, judge images that neither has seen. Beside these motions stand
# the generators that were found without being told any:
# %%
print(found)
# %% [markdown]
# What is measured moves images, as a torch module for training; what is refuted never does.
# %%
augment = found.augment(0.3)
torch.manual_seed(0)
pictures = images.pixels[:2].float() / 255
figure, panels = plt.subplots(2, 7, figsize=(10, 3), layout="constrained")
for row, picture in zip(panels, pictures, strict=True):
    moved = augment(picture.expand(6, 1, 12, 12))
    for panel, shown in zip(row, (picture, *moved), strict=True):
        panel.imshow(shown[0], cmap="gray", vmin=0, vmax=1)
        panel.set(xticks=[], yticks=[])
panels[0, 0].set_title("as it is")
panels[0, 3].set_title("moved along what is valid")
# %%
if __name__ == "__main__":
    plt.show()
