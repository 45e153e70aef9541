// The flow on a grid for GPUs. First the table of each row, sum_k w_k V_k with ghosts, is formed; then a thread moves a
// point. The adjoint of a chunk of points belongs to one warp, which adds to the gradient of its table point by point,
// each number of a cell by its own lane: no two lanes meet, and the order is that of the points. The tables of all
// chunks are then summed in their order.
#include "../core/grid.h"
#include "../core/rk4.h"
#include "device.h"
#include "grid_flow_cuda.h"

namespace symflow {
namespace {

using Index = std::int64_t;

constexpr int block_threads = 128;
constexpr Index least_chunk = 256;                 // points; a multiple of the warp
constexpr Index largest_shared_table = 32 * 1024;  // bytes; a larger gradient of a table stays in global memory

// The step of the method: dt a_i and dt b_i.
template <class T>
struct Step {
  T a[Rk4::stages], b[Rk4::stages];

  explicit Step(Index steps) {
    for (int i = 0; i < Rk4::stages; ++i) {
      a[i] = T(Rk4::a[i] / double(steps));
      b[i] = T(Rk4::b[i] / double(steps));
    }
  }
};

template <class T, int d>
struct Problem {
  GridFields<T> fields;
  Step<T> step;
  Index points, steps;
  Index stride[d];              // of the nodes of a table, in numbers
  Index table;                  // numbers in one
  Index chunk, chunks_per_row;  // how the adjoint cuts a row

  explicit Problem(const GridFlowArguments<T>& a) : fields(a.fields), step(a.steps), points(a.points), steps(a.steps) {
    table = d;
    for (int i = d - 1; i >= 0; --i) {
      stride[i] = table;
      table *= fields.axes[i].nodes + 2;
    }
    // With fewer points than a quarter of the nodes the sums over the chunks would take longer than the chunks.
    const Index nodes = fields.size() / d, quarter = (nodes + 3) / 4;
    const Index most = quarter > least_chunk ? (quarter + warp_size - 1) / warp_size * warp_size : least_chunk;
    chunk = most;
    chunks_per_row = (points + most - 1) / most;
  }

  SYMFLOW_HD Index rows() const { return fields.rows; }
  SYMFLOW_HD Index field_size() const { return fields.size(); }
};

template <class T>
SYMFLOW_DEVICE bool moves(const GridFields<T>& fields, Index row) {
  for (Index k = 0; k < fields.generators; ++k) {
    if (fields.weights[row * fields.generators + k] != 0) return true;
  }
  return false;
}

// ---- tables -------------------------------------------------------------------------------------------------------

template <class T, int d>
__global__ void combine_kernel(Problem<T, d> f, T* tables) {
  const Index i = Index(blockIdx.x) * block_threads + threadIdx.x;
  if (i >= f.rows() * f.table) return;
  const Index row = i / f.table;
  Index node = 0, rest = i % f.table;
#pragma unroll
  for (int a = 0; a < d; ++a) {
    node = node * f.fields.axes[a].nodes + node_at(f.fields.axes[a], rest / f.stride[a]);
    rest %= f.stride[a];
  }
  const T* weights = f.fields.weights + row * f.fields.generators;
  const Index size = f.field_size();
  T sum = 0;
  for (Index k = 0; k < f.fields.generators; ++k) {
    if (weights[k] != 0) sum += weights[k] * f.fields.values[k * size + node * d + rest];
  }
  tables[i] = sum;
}

// The two ends of an edge of a cell, for `interpolate`.
template <class T, int d>
struct LoadEdge {
  const T* cell;
  const Index* stride;

  SYMFLOW_HD void operator()(int corner, T (&low)[d], T (&high)[d]) const {
    const T* from = cell;
    for (int a = 0; a + 1 < d; ++a) from += (corner >> a & 1) * stride[a];
    for (int j = 0; j < d; ++j) {
      low[j] = from[j];
      high[j] = from[d + j];
    }
  }
};

// Where a point lies in a table.
template <class T, int d>
struct Location {
  Index at;
  T fraction[d];
};

template <class T, int d>
SYMFLOW_DEVICE Location<T, d> locate_point(const Problem<T, d>& f, const T (&z)[d]) {
  Location<T, d> location;
  location.at = 0;
#pragma unroll
  for (int a = 0; a < d; ++a) {
    const Cell<Thread<T>> cell = find_cell<Thread<T>>(f.fields.axes[a], z[a]);
    location.at += cell.node * f.stride[a];
    location.fraction[a] = cell.fraction;
  }
  return location;
}

template <bool with_slopes, class T, int d>
SYMFLOW_DEVICE Multilinear<Thread<T>, d> vectors(const Problem<T, d>& f, const T* table,
                                                 const Location<T, d>& location) {
  return interpolate<Thread<T>, d, with_slopes>(location.fraction, LoadEdge<T, d>{table + location.at, f.stride});
}

// ---- forward ------------------------------------------------------------------------------------------------------

template <class T, int d>
__global__ void forward_kernel(Problem<T, d> f, const T* start, const T* tables, T* end, T* states) {
  const Index i = Index(blockIdx.x) * block_threads + threadIdx.x, all = f.rows() * f.points;
  if (i >= all) return;
  const Index row = i / f.points;
  const T* table = tables + row * f.table;
  const bool moving = moves(f.fields, row);
  T z[d];
  for (int j = 0; j < d; ++j) z[j] = start[i * d + j];
  for (Index step = 0; step < f.steps; ++step) {
    if (states != nullptr) {
      for (int j = 0; j < d; ++j) states[(step * all + i) * d + j] = z[j];
    }
    if (!moving) continue;  // the zero field moves nothing, not even the sign of a zero
    T velocity[d] = {}, moved[d], sum[d] = {};
#pragma unroll
    for (int s = 0; s < Rk4::stages; ++s) {
      for (int j = 0; j < d; ++j) moved[j] = s == 0 ? z[j] : Thread<T>::fma(f.step.a[s], velocity[j], z[j]);
      const auto v = vectors<false>(f, table, locate_point(f, moved));
      for (int j = 0; j < d; ++j) {
        velocity[j] = v.value[j];
        const T term = f.step.b[s] * velocity[j];
        sum[j] = s == 0 ? term : sum[j] + term;
      }
    }
    for (int j = 0; j < d; ++j) z[j] += sum[j];
  }
  for (int j = 0; j < d; ++j) end[i * d + j] = z[j];
}

// ---- adjoint ------------------------------------------------------------------------------------------------------

// The shares of a cell's corners in the gradient of a velocity, as rows of numbers: corner by corner, vectors of d.
template <class T, int d>
struct StoreEdge {
  T* numbers;

  SYMFLOW_HD void operator()(int corner, const T (&low)[d], const T (&high)[d]) const {
    for (int j = 0; j < d; ++j) {
      numbers[corner * 2 * d + j] = low[j];
      numbers[corner * 2 * d + d + j] = high[j];
    }
  }
};

template <int d>
constexpr int cell_numbers = (1 << d) * d;

// Shared memory of a warp: the shares of 32 points and the places of their cells.
template <class T, int d>
struct Shares {
  T numbers[warp_size][cell_numbers<d>];
  Index at[warp_size];
};

// table += the shares of the first `count` points, in their order.
template <class T, int d>
SYMFLOW_DEVICE void add_shares(const Problem<T, d>& f, const Shares<T, d>& shares, int count, T* table) {
  for (int p = 0; p < count; ++p) {
    for (int n = int(threadIdx.x); n < cell_numbers<d>; n += warp_size) {
      const int corner = n / (2 * d);
      Index at = shares.at[p] + n % (2 * d);
      for (int a = 0; a + 1 < d; ++a) at += (corner >> a & 1) * f.stride[a];
      table[at] += shares.numbers[p][n];
    }
    __syncwarp();
  }
}

template <class T, int d>
__global__ void adjoint_kernel(Problem<T, d> f, const T* grad_end, const T* states, const T* tables, T* grad_start,
                               T* grad_tables, bool in_shared_memory) {
  Shares<T, d>* shares = shared_memory<Shares<T, d>>();
  const int lane = int(threadIdx.x);
  const Index chunk = blockIdx.x, row = chunk / f.chunks_per_row, begin = chunk % f.chunks_per_row * f.chunk;
  const Index last = begin + f.chunk < f.points ? begin + f.chunk : f.points, all = f.rows() * f.points;
  const T* table = tables + row * f.table;
  T* result = grad_tables == nullptr ? nullptr : grad_tables + chunk * f.table;
  T* grad_table = result != nullptr && in_shared_memory ? reinterpret_cast<T*>(shares + 1) : result;
  if (grad_table != nullptr) {
    for (Index i = lane; i < f.table; i += warp_size) grad_table[i] = 0;
    __syncwarp();
  }
  for (Index first = begin; first < last; first += warp_size) {
    const int count = int(last - first < warp_size ? last - first : warp_size);
    // The lanes beyond the last point repeat it, and nothing of theirs is stored.
    const Index point = row * f.points + first + (lane < count ? lane : count - 1);
    T grad[d];
    for (int j = 0; j < d; ++j) grad[j] = grad_end[point * d + j];
    for (Index step = f.steps - 1; step >= 0; --step) {
      T z[d], velocity[d] = {}, moved[d], before[d], of_stage[d] = {};
      Location<T, d> locations[Rk4::stages];
      for (int j = 0; j < d; ++j) z[j] = states[(step * all + point) * d + j];
#pragma unroll
      for (int s = 0; s < Rk4::stages; ++s) {
        for (int j = 0; j < d; ++j) moved[j] = s == 0 ? z[j] : Thread<T>::fma(f.step.a[s], velocity[j], z[j]);
        locations[s] = locate_point(f, moved);
        if (s + 1 == Rk4::stages) break;
        const auto v = vectors<false>(f, table, locations[s]);
        for (int j = 0; j < d; ++j) velocity[j] = v.value[j];
      }
      for (int j = 0; j < d; ++j) before[j] = grad[j];
#pragma unroll
      for (int s = Rk4::stages - 1; s >= 0; --s) {
        T of_velocity[d];
        for (int j = 0; j < d; ++j) {
          of_velocity[j] = f.step.b[s] * grad[j];
          if (s + 1 < Rk4::stages) of_velocity[j] = Thread<T>::fma(f.step.a[s + 1], of_stage[j], of_velocity[j]);
        }
        if (grad_table != nullptr) {
          share_out<Thread<T>, d>(locations[s].fraction, of_velocity, StoreEdge<T, d>{shares->numbers[lane]});
          shares->at[lane] = locations[s].at;
          __syncwarp();
          add_shares(f, *shares, count, grad_table);
        }
        const auto v = vectors<true>(f, table, locations[s]);
        for (int a = 0; a < d; ++a) {
          T sum = 0;
          for (int j = 0; j < d; ++j) sum = Thread<T>::fma(f.fields.axes[a].rate * v.slope[a][j], of_velocity[j], sum);
          of_stage[a] = sum;
          before[a] += sum;
        }
      }
      for (int j = 0; j < d; ++j) grad[j] = before[j];
    }
    if (lane < count) {
      for (int j = 0; j < d; ++j) grad_start[point * d + j] = grad[j];
    }
  }
  if (grad_table != result) {
    for (Index i = lane; i < f.table; i += warp_size) result[i] = grad_table[i];
  }
}

// The sum over all places of a table that hold one node, the axes from `axis` on.
template <int axis, class T, int d>
SYMFLOW_DEVICE T sum_of_places(const Problem<T, d>& f, const T* table, const Index (&node)[d], Index at) {
  if constexpr (axis == d) {
    return table[at];
  } else {
    const GridAxis<T>& a = f.fields.axes[axis];
    T sum = sum_of_places<axis + 1>(f, table, node, at + (node[axis] + 1) * f.stride[axis]);
    for (int side = 0; side < 2; ++side) {
      const Index ghost = side == 0 ? 0 : a.nodes + 1;
      if (node_at(a, ghost) == node[axis]) {
        sum += sum_of_places<axis + 1>(f, table, node, at + ghost * f.stride[axis]);
      }
    }
    return sum;
  }
}

// grad_fields [B, n_1, ..., n_d, d], the gradient of sum_k w_k V_k of each row.
template <class T, int d>
__global__ void collect_kernel(Problem<T, d> f, const T* grad_tables, T* grad_fields) {
  const Index i = Index(blockIdx.x) * block_threads + threadIdx.x, size = f.field_size();
  if (i >= f.rows() * size) return;
  const Index row = i / size, number = i % size;
  Index node[d], rest = number / d;
#pragma unroll
  for (int a = d - 1; a >= 0; --a) {
    node[a] = rest % f.fields.axes[a].nodes;
    rest /= f.fields.axes[a].nodes;
  }
  double sum = 0;
  for (Index chunk = row * f.chunks_per_row; chunk < (row + 1) * f.chunks_per_row; ++chunk) {
    sum += double(sum_of_places<0>(f, grad_tables + chunk * f.table, node, number % d));
  }
  grad_fields[i] = T(sum);
}

template <class T, int d>
__global__ void values_kernel(Problem<T, d> f, const T* grad_fields, T* grad_values) {
  const Index i = Index(blockIdx.x) * block_threads + threadIdx.x, size = f.field_size();
  if (i >= f.fields.generators * size) return;
  double sum = 0;
  for (Index row = 0; row < f.rows(); ++row) {
    const T weight = f.fields.weights[row * f.fields.generators + i / size];
    if (weight != 0) sum += double(weight) * double(grad_fields[row * size + i % size]);
  }
  grad_values[i] = T(sum);
}

// A block sums the products of one weight.
template <class T, int d>
__global__ void weights_kernel(Problem<T, d> f, const T* grad_fields, T* grad_weights) {
  double* sums = shared_memory<double>();
  const Index row = blockIdx.x / f.fields.generators, k = blockIdx.x % f.fields.generators, size = f.field_size();
  double sum = 0;
  for (Index i = threadIdx.x; i < size; i += block_threads) {
    sum += double(grad_fields[row * size + i]) * double(f.fields.values[k * size + i]);
  }
  sums[threadIdx.x] = sum;
  for (int half = block_threads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (int(threadIdx.x) < half) sums[threadIdx.x] += sums[threadIdx.x + half];
  }
  if (threadIdx.x == 0) grad_weights[blockIdx.x] = T(sums[0]);
}

// ---- launches -----------------------------------------------------------------------------------------------------

unsigned blocks_for(Index count) { return static_cast<unsigned>((count + block_threads - 1) / block_threads); }

template <class T, int d>
cudaError_t forward(const GridFlowArguments<T>& arguments, T* end, T* states, T* tables, cudaStream_t stream) {
  const Problem<T, d> f(arguments);
  const Index count = f.rows() * f.points;
  if (count == 0) return cudaSuccess;
  const cudaError_t error =
      launch(combine_kernel<T, d>, blocks_for(f.rows() * f.table), block_threads, 0, stream, f, tables);
  if (error != cudaSuccess) return error;
  return launch(forward_kernel<T, d>, blocks_for(count), block_threads, 0, stream, f, arguments.start, tables, end,
                states);
}

template <class T, int d>
cudaError_t backward(const GridFlowArguments<T>& arguments, const T* grad_end, const T* states, T* grad_start,
                     T* grad_weights, T* grad_values, T* workspace, cudaStream_t stream) {
  const Problem<T, d> f(arguments);
  const Index size = f.field_size(), chunks = f.rows() * f.chunks_per_row;
  T *tables = workspace, *grad_tables = tables + f.rows() * f.table, *grad_fields = grad_tables + chunks * f.table;
  const bool table_gradients = grad_weights != nullptr || grad_values != nullptr;
  cudaError_t error = cudaSuccess;
  if (chunks > 0) {
    error = launch(combine_kernel<T, d>, blocks_for(f.rows() * f.table), block_threads, 0, stream, f, tables);
    if (error != cudaSuccess) return error;
    const bool fits = table_gradients && f.table * Index(sizeof(T)) <= largest_shared_table;
    const std::size_t shared_bytes = sizeof(Shares<T, d>) + (fits ? std::size_t(f.table) * sizeof(T) : 0);
    error = launch(adjoint_kernel<T, d>, static_cast<unsigned>(chunks), warp_size, shared_bytes, stream, f, grad_end,
                   states, tables, grad_start, table_gradients ? grad_tables : nullptr, fits);
  }
  if (error == cudaSuccess && table_gradients && f.rows() > 0) {
    error = launch(collect_kernel<T, d>, blocks_for(f.rows() * size), block_threads, 0, stream, f, grad_tables,
                   grad_fields);
  }
  if (error == cudaSuccess && grad_values != nullptr) {
    error = launch(values_kernel<T, d>, blocks_for(f.fields.generators * size), block_threads, 0, stream, f,
                   grad_fields, grad_values);
  }
  if (error == cudaSuccess && grad_weights != nullptr && f.rows() > 0) {
    error = launch(weights_kernel<T, d>, static_cast<unsigned>(f.rows() * f.fields.generators), block_threads,
                   block_threads * sizeof(double), stream, f, grad_fields, grad_weights);
  }
  return error;
}

template <class T, int d>
Index workspace_of(const GridFlowArguments<T>& arguments, bool backward, bool table_gradients) {
  const Problem<T, d> f(arguments);
  const Index chunks = f.rows() * f.chunks_per_row, tables = f.rows() * f.table;
  return backward && table_gradients ? tables + chunks * f.table + f.rows() * f.field_size() : tables;
}

// run(d as a constant).
template <class Run>
auto for_dimension(Index dimension, const Run& run) {
  if (dimension == 1) return run(std::integral_constant<int, 1>());
  if (dimension == 2) return run(std::integral_constant<int, 2>());
  return run(std::integral_constant<int, 3>());
}

}  // namespace

template <class T>
std::int64_t grid_flow_forward_workspace(const GridFlowArguments<T>& a) {
  return for_dimension(a.fields.dimension, [&](auto d) { return workspace_of<T, d()>(a, false, false); });
}

template <class T>
std::int64_t grid_flow_backward_workspace(const GridFlowArguments<T>& a, bool table_gradients) {
  return for_dimension(a.fields.dimension, [&](auto d) { return workspace_of<T, d()>(a, true, table_gradients); });
}

template <class T>
cudaError_t grid_flow_forward_cuda(const GridFlowArguments<T>& a, T* end, T* states, T* workspace,
                                   cudaStream_t stream) {
  return for_dimension(a.fields.dimension, [&](auto d) { return forward<T, d()>(a, end, states, workspace, stream); });
}

template <class T>
cudaError_t grid_flow_backward_cuda(const GridFlowArguments<T>& a, const T* grad_end, const T* states, T* grad_start,
                                    T* grad_weights, T* grad_values, T* workspace, cudaStream_t stream) {
  return for_dimension(a.fields.dimension, [&](auto d) {
    return backward<T, d()>(a, grad_end, states, grad_start, grad_weights, grad_values, workspace, stream);
  });
}

#define SYMFLOW_INSTANTIATE(T)                                                                                  \
  template std::int64_t grid_flow_forward_workspace(const GridFlowArguments<T>&);                               \
  template std::int64_t grid_flow_backward_workspace(const GridFlowArguments<T>&, bool);                        \
  template cudaError_t grid_flow_forward_cuda(const GridFlowArguments<T>&, T*, T*, T*, cudaStream_t);           \
  template cudaError_t grid_flow_backward_cuda(const GridFlowArguments<T>&, const T*, const T*, T*, T*, T*, T*, \
                                               cudaStream_t);
SYMFLOW_INSTANTIATE(float)
SYMFLOW_INSTANTIATE(double)
#undef SYMFLOW_INSTANTIATE

}  // namespace symflow
