// The instruction sets the kernels are compiled for, and the one in use.
#pragma once

#include <type_traits>

namespace symflow {

enum class Isa { baseline, avx2, avx512 };

constexpr const char* isa_names[] = {"baseline", "avx2", "avx512"};

// Compiled in and offered by this machine.
bool isa_available(Isa isa);

// The widest available one, or the one named by the environment variable SYMFLOW_ISA when the library was loaded.
Isa selected_isa();

// Chooses by name for the calls that follow; false, and no change, when it is unknown or not available.
bool select_isa(const char* name);

// The kernels for T of those for the two types.
template <class T, class Single, class Double>
const auto& by_type(const Single& single, const Double& two) {
  if constexpr (std::is_same_v<T, float>) {
    return single;
  } else {
    return two;
  }
}

}  // namespace symflow

// SYMFLOW_PER_ISA declares something in the namespace of each instruction set; SYMFLOW_SELECT(name) is the one of those
// for the instruction set in use.
#if defined(__x86_64__)
#define SYMFLOW_PER_ISA(...) \
  namespace baseline {       \
  __VA_ARGS__                \
  }                          \
  namespace avx2 {           \
  __VA_ARGS__                \
  }                          \
  namespace avx512 {         \
  __VA_ARGS__                \
  }
#define SYMFLOW_SELECT(name)                                      \
  (symflow::selected_isa() == symflow::Isa::avx512 ? avx512::name \
   : symflow::selected_isa() == symflow::Isa::avx2 ? avx2::name   \
                                                   : baseline::name)
#else
#define SYMFLOW_PER_ISA(...) \
  namespace baseline {       \
  __VA_ARGS__                \
  }
#define SYMFLOW_SELECT(name) (baseline::name)
#endif
