// Marks the formulas that are compiled for the host and for the device alike.
#pragma once

#if defined(__CUDACC__)
#define SYMFLOW_HD __host__ __device__ __forceinline__
#else
#define SYMFLOW_HD inline __attribute__((always_inline))
#endif
