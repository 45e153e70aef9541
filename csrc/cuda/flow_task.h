// What the kernels of the flow are given, and how they are launched; between flow_cuda.cu and flow_kernels.h.
#pragma once

#include "../core/rk4.h"
#include "products.h"

namespace symflow {
namespace gpu {

constexpr int max_dimension = 4;
constexpr int head_units = 32;  // of a head are computed at a time: H' is a multiple

// Where the parameters, or their gradients, lie in an array, in numbers from its start. W' and H' are W and H rounded
// up to what the kernels compute; units added have parameters zero and change nothing.
struct FlowLayout {
  std::int64_t trunk0;       // [e, W'], the transpose
  std::int64_t trunk0_bias;  // [W']
  std::int64_t trunk1;       // [W', W']
  std::int64_t trunk1_bias;  // [W']
  std::int64_t head;         // [K, H', W']
  std::int64_t head_bias;    // [K, H']
  std::int64_t out;          // [K, d, H']
  std::int64_t out_bias;     // [K, d]
  std::int64_t size;
};

template <class T>
struct FlowTask {
  std::int64_t rows, points;                           // B N
  int dimension, embedding, heads, head_width, steps;  // d e K H'
  T periods[max_dimension];                            // 0 where not periodic
  T a[Rk4::stages], b[Rk4::stages];                    // of the method, times dt
  FlowLayout layout;
  const T* parameters;  // in the layout
  const T* weights;     // [B, K]

  const T* start;  // [B, N, d]
  T* end;
  T* states;  // [steps, B, N, d] or null

  const T* states_saved;
  const T* grad_end;
  T* grad_start;
  T* sums;         // [blocks] arrays in the layout, or null: gradients of parameters that a block has summed
  T* weight_sums;  // [tiles, K, 4] or null: gradients of the row's weights that a tile has summed, per coordinate
};

// Launches for W' = 64, 128 or 256, one instance per way to multiply, each in a .cu of its own. Tiles have `points`
// points; the adjoint's are chosen by what fits into the shared memory of a block.
template <class Products>
struct FlowLaunches {
  using T = typename Products::T;
  static std::size_t forward_bytes(int width);  // of shared memory
  static std::size_t backward_bytes(int width, int heads, int points);
  static cudaError_t forward(const FlowTask<T>&, int width, cudaStream_t);
  static cudaError_t backward(const FlowTask<T>&, int width, int points, int blocks, cudaStream_t);

  static constexpr int most_points = sizeof(T) == 4 ? 64 : 32, least_points = 32;
};

}  // namespace gpu
}  // namespace symflow
