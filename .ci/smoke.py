"""What an installed symflow must do, whatever it was installed from; run by `.ci/wheel-check` in an empty folder."""

import json
import subprocess
import sys
import time
from pathlib import Path

import torch

import symflow
from symflow.ops import _ext

SYMFLOW = [str(Path(sys.executable).parent / "symflow")]

assert Path(symflow.__file__).is_relative_to(sys.prefix), f"not the installed package: {symflow.__file__}"
assert _ext.built, _ext.problem
info = _ext.build_info()
print({fact: info[fact] for fact in ("compiled_isas", "available_isas", "cuda_architectures", "oldest_torch")})

# Every instruction set of this machine, against the reference in plain torch.
field = symflow.NeuralField(symflow.Coordinates(("x", "t", "u")), generators=2, seed=0).double()
random = torch.Generator().manual_seed(0)
points, weights = (torch.randn(*shape, generator=random, dtype=torch.float64) for shape in ((3, 100, 3), (3, 2)))
expected = symflow.ops.flow_ref(field, points, weights)
for isa in info["available_isas"]:
    _ext._C.select_isa(isa)
    torch.testing.assert_close(symflow.flow(field, points, weights), expected, rtol=1e-10, atol=1e-10)

start = time.perf_counter()
subprocess.run([*SYMFLOW, "discover", "--equation", "u_t + u*u_x + u_xxx = 0", "--out", "equation"], check=True)
print(f"first verdict: {time.perf_counter() - start:.1f} s")
equation = json.loads(Path("equation/result.json").read_text())
assert equation["verdicts"]["equation"]["dimension"] == 4
assert all(g["verified"] for g in equation["generators"])

start = time.perf_counter()
subprocess.run([*SYMFLOW, "generate", "kdv", "--samples", "16", "--seed", "0", "--out", "kdv.h5"], check=True)
subprocess.run([*SYMFLOW, "discover", "kdv.h5", "--out", "data"], check=True)
print(f"first verdict on data, and their page: {time.perf_counter() - start:.1f} s")
data = json.loads(Path("data/result.json").read_text())
assert data["verdicts"]["data"]["word"] == "measured"
assert Path("data/report.html").stat().st_size > 100_000
