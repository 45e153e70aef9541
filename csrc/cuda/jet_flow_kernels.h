// The launches of the flow of jets. Included by one .cu per type of number, so that these compile side by side.
#pragma once

#include "jet_flow_adjoint.h"

namespace symflow {
namespace {

// total[i] = sum of `count` numbers sums[n step + i], i < length.
template <class T>
__global__ void add_blocks_kernel(const T* sums, std::int64_t count, std::int64_t step, std::int64_t length, T* total) {
  const std::int64_t i = std::int64_t(blockIdx.x) * block_threads + threadIdx.x;
  if (i >= length) return;
  double sum = 0;
  for (std::int64_t n = 0; n < count; ++n) sum += double(sums[n * step + i]);
  total[i] = T(sum);
}

// total[row, k] = sum over the row's tiles of sums[row, tile, k], by one warp each.
template <class T>
__global__ void add_tiles_kernel(const T* sums, std::int64_t tiles, int heads, T* total) {
  const std::int64_t row = blockIdx.x / unsigned(heads), k = blockIdx.x % unsigned(heads);
  double sum = 0;
  for (std::int64_t n = threadIdx.x; n < tiles; n += warp_size) sum += double(sums[(row * tiles + n) * heads + k]);
  for (int lanes = warp_size / 2; lanes > 0; lanes /= 2) sum += __shfl_xor_sync(whole_warp, sum, lanes);
  if (threadIdx.x == 0) total[row * heads + k] = T(sum);
}

template <class T>
Task<T> task_of(const JetFlowArguments<T>& arguments, const JetFlowTransposes<T>& transposes, bool backward) {
  Task<T> f{};
  f.rows = arguments.rows;
  f.points = arguments.points;
  f.dimension = int(arguments.dimension);
  f.embedding = int(arguments.embedding);
  f.width = int(arguments.width);
  f.heads = int(arguments.heads);
  f.head_width = int(arguments.head_width);
  f.steps = int(arguments.steps);
  for (int j = 0; j < f.dimension; ++j) f.periods[j] = T(arguments.periods[j]);
  for (int i = 0; i < Rk4::stages; ++i) {
    f.a[i] = T(Rk4::a[i] / double(f.steps));
    f.b[i] = T(Rk4::b[i] / double(f.steps));
  }
  for (int i = 0; i < 8; ++i) f.parameters[i] = arguments.parameters[i];
  f.trunk1_transposed = transposes.trunk1;
  f.head_transposed = transposes.head;
  f.weights = arguments.weights;
  f.start = arguments.start;
  f.places = places_of(arguments);
  const auto bytes = [&](int points) {
    f.tile = points;
    return sizeof(T) * std::size_t(Shared<T>(f, arguments.algebra->size, backward).total);
  };
  int points = most_points;
  while (points > 1 && bytes(points) > small_shared) --points;
  f.tile = points;
  return f;
}

template <class T>
std::int64_t blocks_of(const Task<T>& f) {
  const std::int64_t tiles = f.rows * f.tiles_per_row();
  return tiles < most_blocks ? tiles : most_blocks;
}

template <class T>
using Kernel = void (*)(Task<T>);

template <class T, int... n>
Kernel<T> kernel_for(const JetAlgebra& algebra, bool backward, std::integer_sequence<int, n...>) {
  Kernel<T> found = nullptr;
  ((algebra == TotalDegree<n + 1>::lists
        ? void(found = backward ? Kernel<T>(backward_kernel<T, n + 1>) : Kernel<T>(forward_kernel<T, n + 1>))
        : void()),
   ...);
  return found;
}

template <class T>
cudaError_t launch_tiles(const Task<T>& f, const JetAlgebra& algebra, bool backward, std::int64_t blocks,
                         cudaStream_t stream) {
  const Kernel<T> kernel = kernel_for<T>(algebra, backward, std::make_integer_sequence<int, max_degree>());
  if (kernel == nullptr) return cudaErrorInvalidValue;
  const std::size_t bytes = sizeof(T) * std::size_t(Shared<T>(f, algebra.size, backward).total);
  return launch(kernel, dim3(unsigned(blocks)), dim3(block_threads), bytes, stream, f);
}

}  // namespace

template <class T>
std::int64_t jet_flow_workspace(const JetFlowArguments<T>& arguments, bool weight_gradients, bool parameter_gradients) {
  const Task<T> f = task_of(arguments, {}, true);
  return (parameter_gradients ? blocks_of(f) * f.places.at[8] : 0) +
         (weight_gradients ? f.rows * f.tiles_per_row() * f.heads : 0);
}

template <class T>
cudaError_t jet_flow_forward_cuda(const JetFlowArguments<T>& arguments, const JetFlowTransposes<T>& transposes, T* end,
                                  T* states, cudaStream_t stream) {
  if (arguments.rows * arguments.points == 0) return cudaSuccess;
  Task<T> f = task_of(arguments, transposes, false);
  f.end = end;
  f.states = states;
  return launch_tiles(f, *arguments.algebra, false, f.rows * f.tiles_per_row(), stream);
}

template <class T>
cudaError_t jet_flow_backward_cuda(const JetFlowArguments<T>& arguments, const JetFlowTransposes<T>& transposes,
                                   const T* grad_end, const T* states, T* grad_start, T* grad_weights,
                                   T* const* grad_parameters, T* workspace, cudaStream_t stream) {
  if (arguments.rows * arguments.points == 0) return cudaSuccess;
  Task<T> f = task_of(arguments, transposes, true);
  const std::int64_t blocks = blocks_of(f), tiles = f.tiles_per_row(), size = f.places.at[8];
  f.grad_end = grad_end;
  f.states_saved = states;
  f.grad_start = grad_start;
  f.sums = grad_parameters == nullptr ? nullptr : workspace;
  f.weight_sums = grad_weights == nullptr ? nullptr : workspace + (f.sums == nullptr ? 0 : blocks * size);
  cudaError_t error = launch_tiles(f, *arguments.algebra, true, blocks, stream);
  for (int i = 0; i < 8 && f.sums != nullptr && error == cudaSuccess; ++i) {
    const std::int64_t length = f.places.at[i + 1] - f.places.at[i];
    if (length == 0) continue;
    const auto grid = unsigned((length + block_threads - 1) / block_threads);
    error = launch(add_blocks_kernel<T>, dim3(grid), dim3(block_threads), 0, stream, f.sums + f.places.at[i], blocks,
                   size, length, grad_parameters[i]);
  }
  if (f.weight_sums != nullptr && f.heads > 0 && error == cudaSuccess) {
    error = launch(add_tiles_kernel<T>, dim3(unsigned(f.rows * f.heads)), dim3(warp_size), 0, stream, f.weight_sums,
                   tiles, f.heads, grad_weights);
  }
  return error;
}

// Each number type is compiled in a file of its own.
#define SYMFLOW_INSTANTIATE_JET_FLOW(T)                                                                          \
  template std::int64_t jet_flow_workspace(const JetFlowArguments<T>&, bool, bool);                              \
  template cudaError_t jet_flow_forward_cuda(const JetFlowArguments<T>&, const JetFlowTransposes<T>&, T*, T*,    \
                                             cudaStream_t);                                                      \
  template cudaError_t jet_flow_backward_cuda(const JetFlowArguments<T>&, const JetFlowTransposes<T>&, const T*, \
                                              const T*, T*, T*, T* const*, T*, cudaStream_t);

}  // namespace symflow
