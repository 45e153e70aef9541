// The instruction sets the kernels are compiled for, and the one in use.
#pragma once

namespace symflow {

enum class Isa { baseline, avx2, avx512 };

constexpr const char* isa_names[] = {"baseline", "avx2", "avx512"};

// Compiled in and offered by this machine.
bool isa_available(Isa isa);

// The widest available one, or the one named by the environment variable SYMFLOW_ISA when the library was loaded.
Isa selected_isa();

// Chooses by name for the calls that follow; false, and no change, when it is unknown or not available.
bool select_isa(const char* name);

}  // namespace symflow
