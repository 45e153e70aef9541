// The kernels of the flow for the instruction set in use, and the length of their tiles.
#pragma once

#include <algorithm>

#include "flow_run.h"
#include "isa.h"

namespace symflow {

// Tiles are at most this long; measured, 48 to 192 hardly differ, and the hidden layers of a tile should stay cached.
constexpr Index tile_width = 6144;  // points times hidden units
constexpr Index tile_step = 48;     // a multiple of every register block and register

template <class T>
const FlowKernels<T>& selected_flow() {
  return by_type<T>(SYMFLOW_SELECT(flow_float), SYMFLOW_SELECT(flow_double));
}

template <class T>
Index most_points(const FlowArguments<T>& f) {
  return std::clamp(tile_width / padded(f.width, selected_flow<T>()) / tile_step, Index(1), Index(4)) * tile_step;
}

}  // namespace symflow
