// What the kernels of the flow of jets are given, and how a block lays out its memory.
#pragma once

#include "../core/jet.h"
#include "../core/rk4.h"
#include "device.h"
#include "jet_flow_cuda.h"

namespace symflow {
namespace {

constexpr int block_threads = 256, warps = block_threads / warp_size;
constexpr int max_dimension = 4, max_embedding = 2 * max_dimension;
constexpr int outer_rows = 8;                    // of a weight's gradient that a lane sums at a time
constexpr std::int64_t most_blocks = 256;        // of a backward pass, each with gradients of its own
constexpr std::size_t small_shared = 96 * 1024;  // bytes that every supported device grants to a block
constexpr int most_points = 8;                   // in a tile

// Numbers from one line to the next: whole copies of 16 bytes, and an odd number of them against conflicts of banks.
template <class T>
SYMFLOW_HD constexpr int line_stride(int units) {
  constexpr int copy = 16 / int(sizeof(T));
  return ((units + outer_rows - 1) / outer_rows * outer_rows / copy | 1) * copy;
}

// Where the gradients of the eight parameters lie in an array, as they are in theirs.
struct Places {
  std::int64_t at[9];
};

template <class T>
Places places_of(const FlowArguments<T>& f) {
  const std::int64_t W = f.width, H = f.head_width, K = f.heads, d = f.dimension, e = f.embedding;
  const std::int64_t sizes[8] = {W * e, W, W * W, W, K * H * W, K * H, K * d * H, K * d};
  Places places{};
  for (int i = 0; i < 8; ++i) places.at[i + 1] = places.at[i] + sizes[i];
  return places;
}

template <class T>
struct Task {
  std::int64_t rows, points;                                        // B N
  int dimension, embedding, width, heads, head_width, steps, tile;  // d e W K H, most points of a tile
  T periods[max_dimension];                                         // 0 where not periodic
  T a[Rk4::stages], b[Rk4::stages];                                 // of the method, times dt
  const T* parameters[8];
  const T *trunk1_transposed, *head_transposed;
  const T* weights;  // [B, K]

  const T* start;  // [C, B, N, d]
  T* end;
  T* states;  // [steps, C, B, N, d] or null

  const T* states_saved;
  const T* grad_end;
  T* grad_start;
  Places places;
  T* sums;         // [blocks, places] or null: gradients of parameters that a block has summed
  T* weight_sums;  // [tiles, K] or null: gradients of the row's weights that a tile has summed

  SYMFLOW_HD std::int64_t tiles_per_row() const { return (points + tile - 1) / tile; }
};

// Numbers of shared memory.
template <class T>
struct Shared {
  int embedded, wide, head, state, total;

  SYMFLOW_HD Shared(const Task<T>& f, int coefficients, bool backward) {
    const int lines = f.tile * coefficients;
    embedded = lines * line_stride<T>(max_embedding);
    wide = lines * line_stride<T>(f.width);
    head = lines * line_stride<T>(f.head_width);
    state = lines * f.dimension;
    // See the constructors of Tile and Adjoint.
    total = embedded + 2 * wide + head + 4 * state;
    if (backward) total += embedded + wide + head + 7 * state + f.dimension * (f.head_width + 1) + f.heads;
  }
};

}  // namespace
}  // namespace symflow
