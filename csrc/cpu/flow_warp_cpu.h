// Warp along a flow on the CPU, `warp(images, flow(points))` without the coordinates in memory: raw pointers, no torch.
//
// A schedule of the kernels of flow_tile.h, grid_flow_tile.h and warp_tile.h: a thread takes a piece of the points of
// one row of weights, moves them in scratch memory, and samples the images there or pulls their gradient back.
#pragma once

#include "flow_cpu.h"
#include "grid_flow_cpu.h"
#include "warp_cpu.h"

namespace symflow {

// The rows of weights are the grids of the warp, set by set: S G of them. `points` [P, 2] are moved by every row.
//
// out [B, G, C, P].
template <class T>
void flow_warp(const WarpArguments<T>&, const FlowArguments<T>&, const Parallel&, const T* points, const T* images,
               T* out);
template <class T>
void grid_flow_warp(const WarpArguments<T>&, const GridFlowArguments<T>&, const Parallel&, const T* points,
                    const T* images, T* out);

// What is wanted of the gradients; the others are null. `ends` [S, G, P, 2] is room for the end points, which the
// gradient of the images needs, or null with it.
template <class T>
struct FlowWarpGradients {
  T* images;
  T* ends;
  T* weights;
  T* const* parameters;  // all eight layers of the network
  T* values;             // of the fields on a grid
};

template <class T>
void flow_warp_backward(const WarpArguments<T>&, const FlowArguments<T>&, const Parallel&, const T* points,
                        const T* images, const T* grad, const FlowWarpGradients<T>&);
template <class T>
void grid_flow_warp_backward(const WarpArguments<T>&, const GridFlowArguments<T>&, const Parallel&, const T* points,
                             const T* images, const T* grad, const FlowWarpGradients<T>&);

}  // namespace symflow
