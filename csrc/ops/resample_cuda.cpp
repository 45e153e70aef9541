// The parts of resampling that are not in Fourier space, on the GPU.
#include "../cuda/resample_cuda.h"

#include "cuda.h"
#include "resample.h"

namespace symflow {
namespace {

struct OnGpu : Gpu {
  using Gpu::Gpu;

  void spread(const FineGrid& grid, const double* points, std::int64_t count, double* table) {
    check(scatter_spread_cuda(grid, points, count, table, on.stream));
  }
  void read(const FineGrid& grid, const double* points, std::int64_t count, const double* grad_table,
            double* grad_points) {
    check(scatter_read_cuda(grid, points, count, grad_table, grad_points, on.stream));
  }
  void solve(const FineGrid& grid, const double* moved, const double* table, double* values, double* sources) {
    check(resample_solve_cuda(grid, moved, table, values, sources, on.stream));
  }
  void transpose(const FineGrid& grid, const double* table, const double* sources, const double* grad_values,
                 double* grad_table) {
    const Tensor amounts = memory(grid.rows * grid.columns * moved_fields);
    check(resample_transpose_cuda(grid, table, sources, grad_values, write<double>(amounts), grad_table, on.stream));
  }
};

}  // namespace
}  // namespace symflow

STABLE_TORCH_LIBRARY_IMPL(symflow, CUDA, m) { symflow::implement_resample<symflow::OnGpu>(m); }
