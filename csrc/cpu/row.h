// A row of weights as the tiles of one instruction set use it (see simd.h for how it is included).
#pragma once

#include <cstdint>

#include "blocks.h"
#include "flow_cpu.h"

namespace symflow {
namespace SYMFLOW_ISA {

constexpr int max_dimension = 4;
constexpr int max_embedding = 2 * max_dimension;

// A row's heads, with its weights folded into their last layer.
template <class T>
struct Row {
  std::int32_t* heads;  // indices: active ones first
  HeadCount count;
  Index head_columns;    // of all evaluated heads, the row length of Stage::head
  Index active_columns;  // of those that move points
  T* out;                // [d][head_columns], w_k A_k
  T out_bias[max_dimension];

  Row(const FlowProblem<T>& f, Arena& arena) {
    heads = arena.take<std::int32_t>(f.heads);
    out = arena.take<T>(f.dimension * f.most_heads * f.padded_head_width);
  }

  void load(const FlowProblem<T>& f, Index row) {
    count = list_heads(f, row, heads);
    head_columns = count.all * f.padded_head_width;
    active_columns = count.active * f.padded_head_width;
    for (Index j = 0; j < f.dimension; ++j) {
      out_bias[j] = 0;
      for (Index s = 0; s < count.active; ++s) {
        const Index k = heads[s];
        const T weight = f.weights[row * f.heads + k];
        const T* a = f.out + (k * f.dimension + j) * f.padded_head_width;
        T* scaled = out + j * head_columns + s * f.padded_head_width;
        for (Index o = 0; o < f.padded_head_width; ++o) scaled[o] = weight * a[o];
        out_bias[j] += weight * f.parameters[7][k * f.dimension + j];
      }
    }
  }
};

}  // namespace SYMFLOW_ISA
}  // namespace symflow
