#include "isa.h"

#include <atomic>
#include <cstdlib>
#include <cstring>

namespace symflow {
namespace {

Isa widest() {
  if (isa_available(Isa::avx512)) return Isa::avx512;
  if (isa_available(Isa::avx2)) return Isa::avx2;
  return Isa::baseline;
}

bool find(const char* name, Isa& found) {
  for (int i = 0; i < 3; ++i) {
    if (std::strcmp(name, isa_names[i]) == 0 && isa_available(Isa(i))) {
      found = Isa(i);
      return true;
    }
  }
  return false;
}

std::atomic<Isa>& current() {
  static std::atomic<Isa> isa = [] {
    Isa chosen = widest();
    if (const char* name = std::getenv("SYMFLOW_ISA")) find(name, chosen);
    return chosen;
  }();
  return isa;
}

}  // namespace

bool isa_available(Isa isa) {
#if defined(__x86_64__)
  switch (isa) {
    case Isa::baseline:
      return true;
    case Isa::avx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case Isa::avx512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq");
  }
#endif
  return isa == Isa::baseline;
}

Isa selected_isa() { return current().load(std::memory_order_relaxed); }

bool select_isa(const char* name) {
  Isa isa;
  if (!find(name, isa)) return false;
  current().store(isa, std::memory_order_relaxed);
  return true;
}

}  // namespace symflow
