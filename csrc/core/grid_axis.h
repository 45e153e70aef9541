// One axis of a regular grid, as the kernels take it; the maths is in grid.h.
#pragma once

#include <cstdint>

namespace symflow {

// Node i of `nodes` stands at origin + i / rate.
template <class T>
struct GridAxis {
  std::int64_t nodes;
  T origin, rate;
  T last;  // the largest place, in nodes from the lower ghost
  bool periodic;
};

}  // namespace symflow
