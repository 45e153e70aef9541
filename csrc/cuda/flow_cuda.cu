#include <algorithm>

#include "flow_cuda.h"
#include "flow_task.h"

namespace symflow {
namespace gpu {
namespace {

using Index = std::int64_t;

constexpr Index rounded_up(Index n, Index multiple) { return (n + multiple - 1) / multiple * multiple; }

// W' and H'.
template <class T>
int padded_width(const FlowArguments<T>& a) {
  return a.width <= 64 ? 64 : a.width <= 128 ? 128 : 256;
}
template <class T>
Index padded_head_width(const FlowArguments<T>& a) {
  return rounded_up(a.head_width, head_units);
}

template <class T>
FlowLayout layout_of(const FlowArguments<T>& a) {
  const Index W = padded_width(a), H = padded_head_width(a), K = a.heads, d = a.dimension;
  FlowLayout layout{};
  const auto reserve = [&](Index count) {
    const Index at = layout.size;
    layout.size += rounded_up(count, 4);  // every array begins on 16 bytes
    return at;
  };
  layout.trunk0 = reserve(a.embedding * W);
  layout.trunk0_bias = reserve(W);
  layout.trunk1 = reserve(W * W);
  layout.trunk1_bias = reserve(W);
  layout.head = reserve(K * H * W);
  layout.head_bias = reserve(K * H);
  layout.out = reserve(K * d * H);
  layout.out_bias = reserve(K * d);
  return layout;
}

// ---- parameters in the layout and their gradients out of it -------------------------------------------------------

// One of the eight parameters: [matrices, rows, columns] as torch has it, and where its elements are in the layout.
struct Piece {
  Index count, rows, columns;
  Index at, matrix_step, row_step, column_step;
  bool factor;  // of the products with hidden layers

  SYMFLOW_HD Index place(Index i) const {
    return at + i / columns / rows * matrix_step + i / columns % rows * row_step + i % columns * column_step;
  }
};

template <class T>
struct Pieces {
  Piece piece[8];
  const T* from[8];
  T* to[8];
};

template <class T>
Pieces<T> pieces_of(const FlowArguments<T>& a, const FlowLayout& layout) {
  const Index W = a.width, H = a.head_width, K = a.heads, d = a.dimension, e = a.embedding;
  const Index Wp = padded_width(a), Hp = padded_head_width(a);
  Pieces<T> pieces = {{
                          {W * e, W, e, layout.trunk0, 0, 1, Wp, false},
                          {W, 1, W, layout.trunk0_bias, 0, 0, 1, false},
                          {W * W, W, W, layout.trunk1, 0, Wp, 1, true},
                          {W, 1, W, layout.trunk1_bias, 0, 0, 1, false},
                          {K * H * W, H, W, layout.head, Hp * Wp, Wp, 1, true},
                          {K * H, 1, H, layout.head_bias, Hp, 0, 1, false},
                          {K * d * H, 1, H, layout.out, Hp, 0, 1, false},
                          {K * d, 1, d, layout.out_bias, d, 0, 1, false},
                      },
                      {},
                      {}};
  std::copy_n(a.parameters, 8, pieces.from);
  return pieces;
}

// Block (x, y) works on parameter y. What the layout has beyond the parameters is zero already.
template <class Products>
__global__ void __launch_bounds__(block_threads)
    pack_kernel(const __grid_constant__ Pieces<typename Products::T> pieces, typename Products::T* packed) {
  const Piece piece = pieces.piece[blockIdx.y];
  for (Index i = Index(blockIdx.x) * block_threads + threadIdx.x; i < piece.count;
       i += Index(gridDim.x) * block_threads) {
    const auto value = pieces.from[blockIdx.y][i];
    packed[piece.place(i)] = piece.factor ? Products::kept(value) : value;
  }
}

// The gradients are the sums over all blocks, in double and in the order of the blocks.
template <class T>
__global__ void __launch_bounds__(block_threads)
    add_blocks_kernel(const __grid_constant__ Pieces<T> pieces, const T* sums, int blocks, Index size) {
  const Piece piece = pieces.piece[blockIdx.y];
  for (Index i = Index(blockIdx.x) * block_threads + threadIdx.x; i < piece.count;
       i += Index(gridDim.x) * block_threads) {
    const T* at = sums + piece.place(i);
    double total = 0;
#pragma unroll 4
    for (int block = 0; block < blocks; ++block) total += double(at[block * size]);
    pieces.to[blockIdx.y][i] = T(total);
  }
}

// The gradients of the rows' weights are the sums over a row's tiles and over the coordinates.
template <class T>
__global__ void __launch_bounds__(block_threads)
    add_tiles_kernel(const T* weight_sums, Index tiles_per_row, Index rows, Index heads, T* grad_weights) {
  const Index i = Index(blockIdx.x) * block_threads + threadIdx.x;
  if (i >= rows * heads) return;
  const Index row = i / heads, k = i % heads;
  double total = 0;
  for (Index tile = row * tiles_per_row; tile < (row + 1) * tiles_per_row; ++tile) {
    for (int j = 0; j < max_dimension; ++j) total += double(weight_sums[(tile * heads + k) * max_dimension + j]);
  }
  grad_weights[i] = T(total);
}

template <class T>
dim3 grid_of(const Pieces<T>& pieces) {
  Index longest = 0;
  for (const Piece& piece : pieces.piece) longest = std::max(longest, piece.count);
  return dim3(unsigned(std::min<Index>(1024, (longest + block_threads - 1) / block_threads)), 8);
}

// ---- plans --------------------------------------------------------------------------------------------------------

struct Device {
  int multiprocessors = 0, shared_bytes = 0;

  Device() {
    int device = 0;
    cudaGetDevice(&device);
    cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device);
    cudaDeviceGetAttribute(&shared_bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
  }
};

// How the adjoint is cut, and where its arrays are in the workspace, in bytes.
struct Plan {
  int points = 0, blocks = 0;
  Index tiles = 0;
  std::size_t sums = 0, weight_sums = 0, size = 0;
};

std::size_t reserve(std::size_t& size, std::size_t bytes) {
  const std::size_t at = size;
  size += std::size_t(rounded_up(Index(bytes), 256));
  return at;
}

// False where no tile fits into the shared memory of the device.
template <class Products>
bool plan_backward(const FlowArguments<typename Products::T>& a, bool weight_gradients, bool parameter_gradients,
                   Plan& plan) {
  using Launches = FlowLaunches<Products>;
  using T = typename Products::T;
  const Device device;
  const auto bytes = [&](int points) { return Launches::backward_bytes(padded_width(a), int(a.heads), points); };
  plan.points = Launches::most_points;
  while (bytes(plan.points) > std::size_t(device.shared_bytes)) {
    if (plan.points == Launches::least_points) return false;
    plan.points /= 2;
  }
  plan.tiles = a.rows * ((a.points + plan.points - 1) / plan.points);
  // Each block adds up its gradients in an array of its own, so there are no more blocks than run at once.
  const int at_once = device.multiprocessors * (2 * bytes(plan.points) <= std::size_t(device.shared_bytes) ? 2 : 1);
  plan.blocks = int(std::min<Index>(plan.tiles, at_once));
  const FlowLayout layout = layout_of(a);
  reserve(plan.size, std::size_t(layout.size) * sizeof(T));
  plan.sums = reserve(plan.size, parameter_gradients ? std::size_t(plan.blocks * layout.size) * sizeof(T) : 0);
  plan.weight_sums =
      reserve(plan.size, weight_gradients ? std::size_t(plan.tiles * a.heads * max_dimension) * sizeof(T) : 0);
  return true;
}

// run(products)
template <class T, class Run>
auto with_products(bool tf32, const Run& run) {
  if constexpr (sizeof(T) == sizeof(double)) {
    return run(Fma<double>{});
  } else {
    return tf32 ? run(Tf32{}) : run(SplitTf32{});
  }
}

// What both directions need, and the parameters on their way into the layout.
template <class Products, class T>
cudaError_t prepare(const FlowArguments<T>& a, FlowTask<T>& task, Pieces<T>& pieces, void* workspace,
                    cudaStream_t stream) {
  task.rows = a.rows;
  task.points = a.points;
  task.dimension = int(a.dimension);
  task.embedding = int(a.embedding);
  task.heads = int(a.heads);
  task.head_width = int(padded_head_width(a));
  task.steps = int(a.steps);
  for (int j = 0; j < task.dimension; ++j) task.periods[j] = T(a.periods[j]);
  for (int i = 0; i < Rk4::stages; ++i) {
    task.a[i] = T(Rk4::a[i] / double(a.steps));
    task.b[i] = T(Rk4::b[i] / double(a.steps));
  }
  task.layout = layout_of(a);
  task.parameters = static_cast<const T*>(workspace);
  task.weights = a.weights;
  task.start = a.start;
  pieces = pieces_of(a, task.layout);
  const cudaError_t error = cudaMemsetAsync(workspace, 0, std::size_t(task.layout.size) * sizeof(T), stream);
  if (error != cudaSuccess) return error;
  return launch(pack_kernel<Products>, grid_of(pieces), block_threads, 0, stream, pieces, static_cast<T*>(workspace));
}

}  // namespace
}  // namespace gpu

using namespace gpu;

template <class T>
std::size_t flow_forward_workspace(const FlowArguments<T>& a) {
  return std::size_t(layout_of(a).size) * sizeof(T);
}

template <class T>
std::size_t flow_backward_workspace(const FlowArguments<T>& a, bool tf32, bool weight_gradients,
                                    bool parameter_gradients) {
  return with_products<T>(tf32, [&](auto products) {
    Plan plan;
    plan_backward<decltype(products)>(a, weight_gradients, parameter_gradients, plan);
    return plan.size;
  });
}

template <class T>
bool flow_fits(const FlowArguments<T>& a, bool tf32, bool backward) {
  return with_products<T>(tf32, [&](auto products) {
    using Products = decltype(products);
    Plan plan;
    if (backward) return plan_backward<Products>(a, false, false, plan);
    return FlowLaunches<Products>::forward_bytes(padded_width(a)) <= std::size_t(Device().shared_bytes);
  });
}

template <class T>
cudaError_t flow_forward_cuda(const FlowArguments<T>& a, bool tf32, T* end, T* states, void* workspace,
                              cudaStream_t stream) {
  if (a.rows * a.points == 0) return cudaSuccess;
  return with_products<T>(tf32, [&](auto products) {
    using Products = decltype(products);
    FlowTask<T> task{};
    Pieces<T> pieces{};
    const cudaError_t error = prepare<Products>(a, task, pieces, workspace, stream);
    if (error != cudaSuccess) return error;
    task.end = end;
    task.states = states;
    return FlowLaunches<Products>::forward(task, padded_width(a), stream);
  });
}

template <class T>
cudaError_t flow_backward_cuda(const FlowArguments<T>& a, bool tf32, const T* grad_end, const T* states, T* grad_start,
                               T* grad_weights, T* const* grad_parameters, void* workspace, cudaStream_t stream) {
  if (a.rows * a.points == 0) return cudaSuccess;
  return with_products<T>(tf32, [&](auto products) {
    using Products = decltype(products);
    Plan plan;
    if (!plan_backward<Products>(a, grad_weights != nullptr, grad_parameters != nullptr, plan)) {
      return cudaErrorInvalidValue;
    }
    FlowTask<T> task{};
    Pieces<T> pieces{};
    cudaError_t error = prepare<Products>(a, task, pieces, workspace, stream);
    if (error != cudaSuccess) return error;
    const auto part = [&](std::size_t at) { return reinterpret_cast<T*>(static_cast<char*>(workspace) + at); };
    task.states_saved = states;
    task.grad_end = grad_end;
    task.grad_start = grad_start;
    task.sums = grad_parameters != nullptr ? part(plan.sums) : nullptr;
    task.weight_sums = grad_weights != nullptr ? part(plan.weight_sums) : nullptr;
    error = FlowLaunches<Products>::backward(task, padded_width(a), plan.points, plan.blocks, stream);
    if (error == cudaSuccess && grad_parameters != nullptr) {
      std::copy_n(grad_parameters, 8, pieces.to);
      error = launch(add_blocks_kernel<T>, grid_of(pieces), block_threads, 0, stream, pieces, task.sums, plan.blocks,
                     task.layout.size);
    }
    if (error == cudaSuccess && grad_weights != nullptr) {
      const auto blocks = unsigned((a.rows * a.heads + block_threads - 1) / block_threads);
      error = launch(add_tiles_kernel<T>, blocks, block_threads, 0, stream, task.weight_sums, plan.tiles / a.rows,
                     a.rows, a.heads, grad_weights);
    }
    return error;
  });
}

#define SYMFLOW_INSTANTIATE(T)                                                                                         \
  template std::size_t flow_forward_workspace(const FlowArguments<T>&);                                                \
  template std::size_t flow_backward_workspace(const FlowArguments<T>&, bool, bool, bool);                             \
  template bool flow_fits(const FlowArguments<T>&, bool, bool);                                                        \
  template cudaError_t flow_forward_cuda(const FlowArguments<T>&, bool, T*, T*, void*, cudaStream_t);                  \
  template cudaError_t flow_backward_cuda(const FlowArguments<T>&, bool, const T*, const T*, T*, T*, T* const*, void*, \
                                          cudaStream_t);
SYMFLOW_INSTANTIATE(float)
SYMFLOW_INSTANTIATE(double)
#undef SYMFLOW_INSTANTIATE

}  // namespace symflow
