#include "cuda/elementary_cuda.cu"

EMULATION_EXPORT int elementary_float(const float* x, std::int64_t count, float* silu, float* derivative, float* cos,
                                      float* sin) {
  return symflow::elementary_cuda<float>(x, count, silu, derivative, cos, sin, nullptr);
}
EMULATION_EXPORT int elementary_double(const double* x, std::int64_t count, double* silu, double* derivative,
                                       double* cos, double* sin) {
  return symflow::elementary_cuda<double>(x, count, silu, derivative, cos, sin, nullptr);
}
