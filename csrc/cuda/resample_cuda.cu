#include "device.h"
#include "resample_cuda.h"

namespace symflow {
namespace {

using Index = std::int64_t;

constexpr int block_threads = 128;

// The arithmetic of one thread, a tap at a time.
struct OneTap : Thread<double> {
  static constexpr int lanes = 1;
  SYMFLOW_DEVICE static double load(const double* p) { return *p; }
  SYMFLOW_DEVICE static double sum(double a) { return a; }
};

SYMFLOW_DEVICE Index thread_index() { return Index(blockIdx.x) * block_threads + threadIdx.x; }
unsigned blocks_for(Index count) { return static_cast<unsigned>((count + block_threads - 1) / block_threads); }

__global__ void read_kernel(FineGrid grid, const double* points, Index count, const double* grad_table,
                            double* grad_points) {
  const Index i = thread_index();
  if (i < count) read_point<OneTap>(grid, grad_table, points + 3 * i, grad_points + 3 * i);
}

__global__ void solve_kernel(FineGrid grid, const double* moved, const double* table, double* values, double* sources) {
  const Index at = thread_index();
  if (at >= grid.rows * grid.columns) return;
  const double column = double(at % grid.columns), row = double(at / grid.columns);
  Search search = first_guess(grid, moved, column, row);
  for (int step = 0; step < Inverse::steps && search.state == Search::going; ++step) {
    newton_step<OneTap>(grid, table, column, row, search);
  }
  read_source<OneTap>(grid, table, search, values[at], sources + 2 * at);
}

__global__ void amounts_kernel(FineGrid grid, const double* table, const double* sources, const double* grad_values,
                               double* amounts) {
  const Index at = thread_index();
  if (at >= grid.rows * grid.columns) return;
  const double column = sources[2 * at], row = sources[2 * at + 1];
  double amount[moved_fields] = {};
  if (row == row) amounts_at<OneTap>(grid, table, column, quintic_rows(row, grid.rows), grad_values[at], amount);
  for (int f = 0; f < moved_fields; ++f) amounts[moved_fields * at + f] = amount[f];
}

// ---- sums over points -----------------------------------------------------------------------------------------------

// What the sums run over: places, their neighbouring rows, and what each adds to every field.
struct ScatteredPoints {
  static constexpr int fields = 2;
  using Stencil = Linear;
  const double* points;  // [count, 3]
  Index count;

  SYMFLOW_DEVICE double column(Index i) const { return points[3 * i]; }
  SYMFLOW_DEVICE double row(Index i) const { return points[3 * i + 1]; }
  SYMFLOW_DEVICE bool takes_part(Index i, const FineGrid& grid) const { return within_reach(row(i), grid.rows); }
  SYMFLOW_DEVICE static Stencil rows(double row, const FineGrid& grid) { return linear_rows(row, grid.rows); }
  SYMFLOW_DEVICE double amount(Index i, int field) const { return field == 0 ? points[3 * i + 2] : 1.0; }
};

struct Sources {
  static constexpr int fields = moved_fields;
  using Stencil = Quintic;
  const double* sources;  // [count, 2]
  const double* amounts;  // [count, 3]
  Index count;

  SYMFLOW_DEVICE double column(Index i) const { return sources[2 * i]; }
  SYMFLOW_DEVICE double row(Index i) const { return sources[2 * i + 1]; }
  SYMFLOW_DEVICE bool takes_part(Index i, const FineGrid&) const { return row(i) == row(i); }
  SYMFLOW_DEVICE static Stencil rows(double row, const FineGrid& grid) { return quintic_rows(row, grid.rows); }
  SYMFLOW_DEVICE double amount(Index i, int field) const { return amounts[moved_fields * i + field]; }
};

constexpr int spread_threads = 256;
constexpr int spread_warps = spread_threads / warp_size;
constexpr int columns_per_thread = 3;
constexpr int block_columns = spread_threads * columns_per_thread;
constexpr int batch = spread_threads / window_taps;  // points whose windows are computed at a time, a thread per tap

template <int fields>
struct SpreadMemory {
  double window[batch][window_taps];
  double amount[batch][fields];  // times the weight of the row
  Index found[spread_threads];   // the points of this round that reach the block's part of the table
  int tap[batch];                // relative to the block's first column
  int warp_found[spread_warps];
};

// A block owns some columns of all fields of one row. It goes through all points, a round of as many as it has threads
// at a time, picks those that reach it, in their order, and adds them up.
template <class Points>
__global__ void spread_kernel(FineGrid grid, Points points, double* table) {
  constexpr int fields = Points::fields;
  auto& memory = *shared_memory<SpreadMemory<fields>>();
  const int thread = int(threadIdx.x), lane = thread % warp_size, warp = thread / warp_size;
  const Index row = blockIdx.x, first_column = Index(blockIdx.y) * block_columns;

  double sum[columns_per_thread][fields];
  for (int c = 0; c < columns_per_thread; ++c) {
    for (int f = 0; f < fields; ++f) sum[c][f] = 0;
  }
  for (Index round = 0; round < points.count; round += spread_threads) {
    const Index candidate = round + thread;
    bool reaches = false;
    if (candidate < points.count && points.takes_part(candidate, grid)) {
      const Index first = Points::rows(points.row(candidate), grid).first;
      const Index tap = place_of(grid, points.column(candidate)).tap;
      reaches = row >= first && row < first + Points::Stencil::count && tap + window_taps > first_column &&
                tap < first_column + block_columns;
    }
    const unsigned in_warp = __ballot_sync(whole_warp, reaches);
    if (lane == 0) memory.warp_found[warp] = __popc(in_warp);
    __syncthreads();
    int before = 0, found = 0;
    for (int w = 0; w < spread_warps; ++w) {
      if (w < warp) before += memory.warp_found[w];
      found += memory.warp_found[w];
    }
    if (reaches) memory.found[before + __popc(in_warp & ((1u << lane) - 1))] = candidate;
    __syncthreads();

    for (int begin = 0; begin < found; begin += batch) {
      const int member = thread / window_taps, tap = thread % window_taps;
      const int members = found - begin < batch ? found - begin : batch;
      if (member < members) {
        const Index i = memory.found[begin + member];
        const Place place = place_of(grid, points.column(i));
        memory.window[member][tap] = window_value<OneTap>(grid, tap, place.offset);
        if (tap == 0) memory.tap[member] = int(place.tap - first_column);
        if (tap < fields) {
          const auto rows = Points::rows(points.row(i), grid);
          double weight = 0;
          for (int j = 0; j < Points::Stencil::count; ++j) {
            if (rows.first + j == row) weight = rows.value[j];
          }
          memory.amount[member][tap] = weight * points.amount(i, tap);
        }
      }
      __syncthreads();
      for (int m = 0; m < members; ++m) {
        for (int c = 0; c < columns_per_thread; ++c) {
          const int at = c * spread_threads + thread - memory.tap[m];
          if (at < 0 || at >= window_taps) continue;
          for (int f = 0; f < fields; ++f) {
            sum[c][f] = OneTap::fma(memory.amount[m][f], memory.window[m][at], sum[c][f]);
          }
        }
      }
      __syncthreads();
    }
  }
  for (int c = 0; c < columns_per_thread; ++c) {
    const Index column = first_column + c * spread_threads + thread;
    if (column >= grid.stride()) continue;
    for (int f = 0; f < fields; ++f) table[(row * fields + f) * grid.stride() + column] = sum[c][f];
  }
}

template <class Points>
cudaError_t spread(const FineGrid& grid, const Points& points, double* table, cudaStream_t stream) {
  const auto parts = static_cast<unsigned>((grid.stride() + block_columns - 1) / block_columns);
  return launch(spread_kernel<Points>, dim3(static_cast<unsigned>(grid.rows), parts), spread_threads,
                sizeof(SpreadMemory<Points::fields>), stream, grid, points, table);
}

}  // namespace

cudaError_t scatter_spread_cuda(const FineGrid& grid, const double* points, Index count, double* table,
                                cudaStream_t stream) {
  return spread(grid, ScatteredPoints{points, count}, table, stream);
}

cudaError_t scatter_read_cuda(const FineGrid& grid, const double* points, Index count, const double* grad_table,
                              double* grad_points, cudaStream_t stream) {
  if (count == 0) return cudaSuccess;
  return launch(read_kernel, blocks_for(count), block_threads, 0, stream, grid, points, count, grad_table, grad_points);
}

cudaError_t resample_solve_cuda(const FineGrid& grid, const double* moved, const double* table, double* values,
                                double* sources, cudaStream_t stream) {
  return launch(solve_kernel, blocks_for(grid.rows * grid.columns), block_threads, 0, stream, grid, moved, table,
                values, sources);
}

cudaError_t resample_transpose_cuda(const FineGrid& grid, const double* table, const double* sources,
                                    const double* grad_values, double* amounts, double* grad_table,
                                    cudaStream_t stream) {
  const Index count = grid.rows * grid.columns;
  const cudaError_t error =
      launch(amounts_kernel, blocks_for(count), block_threads, 0, stream, grid, table, sources, grad_values, amounts);
  if (error != cudaSuccess) return error;
  return spread(grid, Sources{sources, amounts, count}, grad_table, stream);
}

}  // namespace symflow
