"""How the compiled kernels were built; left out of wheels, which serve several versions of Python."""

compiler: str
standard: str
flags: str
torch: str
python: str
