// What every kernel of symflow includes: the CUDA runtime, launches, dynamic shared memory, and the arithmetic of one
// GPU thread. The same sources compile as plain C++ under the host emulation of tests/cuda, which brings a
// <cuda_runtime.h> of its own.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

#include "../core/hd.h"

#define SYMFLOW_DEVICE __device__ __forceinline__

namespace symflow {

// Launches `kernel` and returns what that returned; nothing waits for the kernel to end. More than 48 KB of dynamic
// shared memory must be asked for, kernel by kernel; a device that has less refuses with cudaErrorInvalidValue.
template <class... Parameters, class... Arguments>
cudaError_t launch(void (*kernel)(Parameters...), dim3 blocks, dim3 threads, std::size_t shared_bytes,
                   cudaStream_t stream, const Arguments&... arguments) {
  constexpr std::size_t granted = 48 * 1024;
  cudaError_t error = cudaSuccess;
  if (shared_bytes > granted) {
    error = cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 static_cast<int>(shared_bytes));
  }
  if (error == cudaSuccess) {
    cudaLaunchConfig_t config{};
    config.gridDim = blocks;
    config.blockDim = threads;
    config.dynamicSmemBytes = shared_bytes;
    config.stream = stream;
    error = cudaLaunchKernelEx(&config, kernel, Parameters(arguments)...);
  }
  if (error != cudaSuccess) cudaGetLastError();  // it is reported by us, and must not be found again by others
  return error;
}

// The dynamic shared memory of the block, of the size that its launch asked for.
template <class T>
SYMFLOW_DEVICE T* shared_memory() {
#if defined(__CUDACC__)
  extern __shared__ __align__(128) unsigned char symflow_shared_memory[];
#else
  unsigned char* const symflow_shared_memory = cuda_emulation::shared_memory();
#endif
  return reinterpret_cast<T*>(symflow_shared_memory);
}

constexpr int warp_size = 32;
constexpr unsigned whole_warp = 0xFFFFFFFFu;

// The arithmetic `Ops` of core/elementary.h for one thread. nvcc is told not to fuse products on its own.
template <class T>
struct AnyThread {
  using Scalar = T;
  using Value = T;
  using Integers = int;
  static constexpr int exp_parts = 1;
  SYMFLOW_DEVICE static T set(T c) { return c; }
  SYMFLOW_DEVICE static T min(T a, T b) { return a < b ? a : b; }
  SYMFLOW_DEVICE static T max(T a, T b) { return a > b ? a : b; }
  SYMFLOW_DEVICE static int truncate(T a) { return static_cast<int>(a); }
  SYMFLOW_DEVICE static T whole(int i) { return static_cast<T>(i); }
  SYMFLOW_DEVICE static T reciprocal(T a) { return T(1) / a; }
};

template <class T>
struct Thread;

template <>
struct Thread<float> : AnyThread<float> {
  SYMFLOW_DEVICE static float fma(float a, float b, float c) { return __fmaf_rn(a, b, c); }
  SYMFLOW_DEVICE static float scale(float a, float shifted) {
    return a * __uint_as_float((__float_as_uint(shifted) << 23) + 0x3F800000u);
  }
};

template <>
struct Thread<double> : AnyThread<double> {
  SYMFLOW_DEVICE static double fma(double a, double b, double c) { return __fma_rn(a, b, c); }
  SYMFLOW_DEVICE static double scale(double a, double shifted) {
    const auto bits = static_cast<std::uint64_t>(__double_as_longlong(shifted));
    return a * __longlong_as_double(static_cast<long long>((bits << 52) + 0x3FF0000000000000u));
  }
};

}  // namespace symflow
