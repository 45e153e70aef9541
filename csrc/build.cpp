// `symflow._build`: how the library beside it was compiled. pybind11 ties it to one version of Python, so it is left
// out of wheels that serve several.
#include <pybind11/pybind11.h>

#include <string>

namespace {

std::string compiler() {
#if defined(__clang__)
  return "clang " __clang_version__;
#else
  return "gcc " __VERSION__;
#endif
}

}  // namespace

PYBIND11_MODULE(_build, m) {
  m.doc() = "How the compiled kernels of symflow were built.";
  m.attr("compiler") = compiler();
  m.attr("standard") = "C++" + std::to_string(__cplusplus / 100 % 100);
  m.attr("flags") = SYMFLOW_FLAGS;
  m.attr("torch") = SYMFLOW_TORCH;
  m.attr("python") = PY_VERSION;
}
