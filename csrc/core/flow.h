// The flow of a network of two shared hidden layers and one hidden layer per head, as its kernels are asked for it.
#pragma once

#include <cstdint>

namespace symflow {

// What the caller gives. All arrays are contiguous, row-major.
template <class T>
struct FlowArguments {
  std::int64_t rows, points, dimension, embedding, width, heads, head_width, steps;  // B N d e W K H
  const double* periods;                                                             // [d], 0 where not periodic
  const T* start;                                                                    // [B, N, d]; unused by backward
  const T* weights;                                                                  // [B, K]
  const T* parameters[8];  // [W,e] [W] [W,W] [W] [K,H,W] [K,H] [K,d,H] [K,d]
};

}  // namespace symflow
