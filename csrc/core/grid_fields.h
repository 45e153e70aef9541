// Vector fields on a regular grid, as the kernels take them; the maths is in grid.h.
#pragma once

#include <cstdint>

#include "hd.h"

namespace symflow {

// Node i of `nodes` stands at origin + i / rate.
template <class T>
struct GridAxis {
  std::int64_t nodes;
  T origin, rate;
  T last;  // the largest place, in nodes from the lower ghost
  bool periodic;
};

constexpr int max_grid_dimension = 4;

// K vector fields on a grid, and the rows of weights that combine them.
template <class T>
struct GridFields {
  std::int64_t dimension, generators, rows;  // d K B
  GridAxis<T> axes[max_grid_dimension];
  const T* values;   // [K, n_1, ..., n_d, d]
  const T* weights;  // [B, K]

  // Numbers in one field.
  SYMFLOW_HD std::int64_t size() const {
    std::int64_t product = dimension;
    for (int a = 0; a < dimension; ++a) product *= axes[a].nodes;
    return product;
  }
};

// What the caller of a flow on a grid gives. All arrays are contiguous, row-major.
template <class T>
struct GridFlowArguments {
  GridFields<T> fields;
  std::int64_t points, steps;  // N
  const T* start;              // [B, N, d]; unused by backward
};

}  // namespace symflow
