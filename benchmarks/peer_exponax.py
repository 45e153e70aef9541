"""What `bench_data.py --peer` runs with the interpreter of an environment that has exponax (JAX on the CPU, float64).

    PYTHON peer_exponax.py JOB.npz RESULT.npz

The job: u0 [S, N], length, dt between output times, intervals, linear coefficients, substeps. The result: u at the last
time [S, N]; wall and CPU seconds of a second, already compiled run that keeps every output time. ETDRK4 of
exponax's general convection stepper, all trajectories side by side, as many threads as JAX takes.
"""

from __future__ import annotations

import os
import sys
import time

os.environ["JAX_PLATFORMS"] = "cpu"

import exponax
import jax
import numpy as np

jax.config.update("jax_enable_x64", True)


def main() -> None:
    job = np.load(sys.argv[1])
    substeps, intervals = int(job["substeps"]), int(job["intervals"])
    stepper = exponax.stepper.generic.GeneralConvectionStepper(
        1,
        float(job["length"]),
        job["u0"].shape[1],
        float(job["dt"]) / substeps,
        linear_coefficients=tuple(job["linear"].tolist()),
        convection_scale=1.0,
        conservative=True,
        order=4,
    )
    rollout = exponax.rollout(exponax.repeat(stepper, substeps), intervals)
    solve = jax.jit(jax.vmap(rollout))
    u0 = jax.numpy.asarray(job["u0"])[:, None]
    solve(u0).block_until_ready()
    begun, used = time.perf_counter(), time.process_time()
    u = solve(u0).block_until_ready()
    times = {"seconds": time.perf_counter() - begun, "cpu_seconds": time.process_time() - used}
    np.savez(sys.argv[2], u=np.asarray(u[:, -1, 0]), version=exponax.__version__, **times)


if __name__ == "__main__":
    main()
