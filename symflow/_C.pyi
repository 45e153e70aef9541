"""Registers the operators ``torch.ops.symflow.*``; which kernels are compiled in, and which of them run."""

def compiled_isas() -> list[str]:
    """The instruction sets compiled in."""

def available_isas() -> list[str]:
    """Those that this machine offers."""

def isa() -> str:
    """The one in use."""

def select_isa(name: str, /) -> None:
    """Chooses the instruction set of the calls that follow; ValueError where this machine does not offer it."""

def cuda_architectures() -> list[str]:
    """The compute capabilities of the GPUs compiled for; empty without CUDA."""

def oldest_torch() -> str:
    """The oldest torch this library loads with."""
