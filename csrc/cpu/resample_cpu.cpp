#include "resample_cpu.h"

#include <algorithm>

#include "../core/resample.h"

namespace symflow {
namespace {

using Index = std::int64_t;

// Sums over points are cut into so many runs, whatever the number of threads: each has a table of its own, which is
// added to the result in its turn.
constexpr Index runs = 4;
constexpr Index points_per_tile = 512;
constexpr Index points_per_worker = 1024;  // fewer are not worth waking a thread for

const ResampleKernels& kernels() { return SYMFLOW_SELECT(resample_kernels); }

int workers_for(const Parallel& parallel, Index tiles, Index points) {
  return int(std::max<Index>(1, std::min({tiles, points / points_per_worker, Index(parallel.workers)})));
}

// sum[...] = the sum over all runs of points [begin, end) of what fill(begin, end, table) adds to a table of zeros.
template <class Fill>
void add_runs(const FineGrid& grid, const Parallel& parallel, Index points, double* sum, const Fill& fill) {
  const Index size = grid.size(), length = (points + runs - 1) / runs;
  std::fill_n(sum, size, 0.0);
  if (points == 0) return;
  const Index tiles = (points + length - 1) / length;
  const int workers = workers_for(parallel, tiles, points);
  const Buffer<double> memory = allocate<double>(workers * rounded_up(size, alignment));
  Turns turns;
  for_each_tile(tiles, workers, parallel, [&](Index tile, int worker) {
    double* table = memory.get() + worker * rounded_up(size, alignment);
    std::fill_n(table, size, 0.0);
    fill(tile * length, std::min(points, (tile + 1) * length), table);
    turns.take(tile, [&] {
      for (Index i = 0; i < size; ++i) sum[i] += table[i];
    });
  });
}

}  // namespace

void scatter_spread(const FineGrid& grid, const Parallel& parallel, const double* points, Index count, double* table) {
  const ResampleKernels& kernel = kernels();
  add_runs(grid, parallel, count, table,
           [&](Index begin, Index end, double* part) { kernel.spread(grid, points, begin, end, part); });
}

void scatter_read(const FineGrid& grid, const Parallel& parallel, const double* points, Index count,
                  const double* grad_table, double* grad_points) {
  const ResampleKernels& kernel = kernels();
  const Index tiles = (count + points_per_tile - 1) / points_per_tile;
  for_each_tile(tiles, workers_for(parallel, tiles, count), parallel, [&](Index tile, int) {
    kernel.read(grid, points, tile * points_per_tile, std::min(count, (tile + 1) * points_per_tile), grad_table,
                grad_points);
  });
}

void resample_solve(const FineGrid& grid, const Parallel& parallel, const double* moved, const double* table,
                    double* values, double* sources) {
  const ResampleKernels& kernel = kernels();
  for_each_tile(grid.rows, workers_for(parallel, grid.rows, grid.rows * grid.columns), parallel,
                [&](Index row, int) { kernel.solve_row(grid, moved, table, row, values, sources); });
}

void resample_transpose(const FineGrid& grid, const Parallel& parallel, const double* table, const double* sources,
                        const double* grad_values, double* grad_table) {
  const ResampleKernels& kernel = kernels();
  add_runs(grid, parallel, grid.rows * grid.columns, grad_table, [&](Index begin, Index end, double* part) {
    kernel.transpose(grid, table, sources, grad_values, begin, end, part);
  });
}

}  // namespace symflow
