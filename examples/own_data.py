# %% [markdown]
# # Trajectories
# What are the symmetries of data of your own, and do the data solve the equation that they are said to solve? The
# arrays here are waves of the linear equation `u_t + c u_x + u_xxx = 0`, made by hand; put yours, or a file, in their
# place.
# %%
import matplotlib.pyplot as plt
import numpy as np

from symflow import pde

x = np.linspace(0, 2 * np.pi, 64, endpoint=False)  # one period, the right end left out
t = np.linspace(0, 2, 81)
c = 0.5


def wave(k: int, amplitude: float, phase: float) -> np.ndarray:
    return amplitude * np.cos(k * x - (c * k - k**3) * t[:, None] + phase)


u = np.stack([wave(1, a, a) + wave(2, 1 - a, 3 * a) + wave(3, 0.2, a) for a in np.linspace(0.2, 0.8, 6)])
figure, axis = plt.subplots(figsize=(5, 3), layout="constrained")
image = axis.pcolormesh(x, t, u[0], cmap="RdBu_r")
axis.set(xlabel="x", ylabel="t", title="the first of six trajectories")
figure.colorbar(image, label="u")
# %%
data = pde.load(u=u, x=x, t=t, equation=pde.Equation("u_t + c*u_x + u_xxx = 0", c=c))
result = pde.discover(data, domain="plane", network="none")  # the null space alone
print(result)
for generator in result.generators:
    print(generator.name, generator.closed_form)
# %% [markdown]
# Data can say no. The same arrays under an equation whose coefficient is 4 % off: the equation still has its
# symmetries, and nothing is said of the data.
# %%
wrong = pde.load(u=u, x=x, t=t, equation=pde.Equation("u_t + c*u_x + u_xxx = 0", c=0.52))
print(pde.discover(wrong, domain="plane", network="none"))
# %%
print(pde.audit_data(wrong))
# %%
if __name__ == "__main__":
    plt.show()
