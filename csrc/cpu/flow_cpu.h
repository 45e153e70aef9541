// The seam of the flow on the CPU: raw pointers and sizes, no torch.
//
// flow_cpu.cpp packs the parameters, hands out tiles to threads and adds up gradients; a tile (up to `tile` points of
// one row) is computed from start to end by the kernels of flow_tile.h, compiled once per instruction set.
#pragma once

#include <cstdint>

#include "../core/flow.h"
#include "isa.h"
#include "parallel.h"

namespace symflow {

// end [B, N, d]; states [steps, B, N, d], the points before each step, or null.
template <class T>
void flow_forward(const FlowArguments<T>&, const Parallel&, T* end, T* states);

// Exact gradients of the discrete flow. grad_start [B, N, d] is always written; grad_weights [B, K] and the eight
// grad_parameters are written where not null (the parameters all or none).
template <class T>
void flow_backward(const FlowArguments<T>&, const Parallel&, const T* grad_end, const T* states, T* grad_start,
                   T* grad_weights, T* const* grad_parameters);

// The elementary functions of the selected instruction set, for tests: silu, its derivative, and cos and sin of 2 pi x.
template <class T>
void elementary(const T* x, std::int64_t count, T* silu, T* derivative, T* cos, T* sin);

// ---- between flow_cpu.cpp and the kernels -------------------------------------------------------------------------

// The problem as a tile sees it. W' and H' are W and H rounded up to a panel of two registers; the columns added hold
// zeros, so that no loop has a tail. In a packed matrix the panel is the slow index: [columns / panel][depth][panel].
template <class T>
struct FlowProblem : FlowArguments<T> {
  std::int64_t padded_width, padded_head_width;  // W' H'
  std::int64_t tile;                             // most points in a tile; tile buffers have this many rows
  std::int64_t tile_points, tiles_per_row;       // how a row is cut
  std::int64_t most_heads;                       // most heads that any row evaluates
  bool weight_gradients, parameter_gradients;

  const T* trunk0;           // [e + 1, W'], the last row is the bias
  const T* trunk1;           // packed, columns = outputs, depth W
  const T* trunk1_backward;  // packed, columns = inputs, depth W
  const T* trunk1_bias;      // [W']
  const T* head;             // K packed matrices, columns = outputs, depth W
  const T* head_backward;    // K packed matrices, columns = inputs, depth H
  const T* head_bias;        // [K, H']
  const T* out;              // [K, d, H']

  T* end;
  T* states;              // [steps, B, N, d]
  const T* states_saved;  // the same, read by backward
  const T* grad_end;
  T* grad_start;
};

// Where the sums over a tile lie, in numbers from the start of its buffer. A head's place is its position in the list
// of heads that the row evaluates.
struct GradientLayout {
  std::int64_t trunk0;       // [e + 1, W']
  std::int64_t trunk1;       // [W, W']
  std::int64_t trunk1_bias;  // [W']
  std::int64_t head;         // [heads, H, W']
  std::int64_t head_bias;    // [heads, H']
  std::int64_t out;          // [d, heads, H'] of g h^T, before the row's weights
  std::int64_t out_bias;     // [d] of g
  std::int64_t size;
};

template <class Problem, class T>
struct TileKernels {
  int lanes;
  std::int64_t (*forward_scratch)(const Problem&);   // numbers
  std::int64_t (*backward_scratch)(const Problem&);  // numbers
  void (*forward_tile)(const Problem&, std::int64_t tile, T* scratch);
  void (*backward_tile)(const Problem&, std::int64_t tile, T* scratch, const GradientLayout&, T* gradients);
};

template <class T>
struct FlowKernels : TileKernels<FlowProblem<T>, T> {
  void (*elementary)(const T* x, std::int64_t count, T* silu, T* derivative, T* cos, T* sin);
};

SYMFLOW_PER_ISA(extern const FlowKernels<float> flow_float; extern const FlowKernels<double> flow_double;)

// The heads that row `row` evaluates: those with a non-zero weight first, then, when their weights' gradients are
// wanted, the others. Writes at most K indices and returns {how many are active, how many in all}.
struct HeadCount {
  std::int64_t active, all;
};
template <class T>
HeadCount list_heads(const FlowProblem<T>&, std::int64_t row, std::int32_t* heads);

}  // namespace symflow
