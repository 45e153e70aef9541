// The parts of resampling that are not in Fourier space, on the CPU.
#include "resample.h"

#include "../cpu/resample_cpu.h"

namespace symflow {
namespace {

struct OnCpu {
  OnCpu(const char*, const Tensor&) {}

  void spread(const FineGrid& grid, const double* points, std::int64_t count, double* table) {
    scatter_spread(grid, host_threads(), points, count, table);
  }
  void read(const FineGrid& grid, const double* points, std::int64_t count, const double* grad_table,
            double* grad_points) {
    scatter_read(grid, host_threads(), points, count, grad_table, grad_points);
  }
  void solve(const FineGrid& grid, const double* moved, const double* table, double* values, double* sources) {
    resample_solve(grid, host_threads(), moved, table, values, sources);
  }
  void transpose(const FineGrid& grid, const double* table, const double* sources, const double* grad_values,
                 double* grad_table) {
    resample_transpose(grid, host_threads(), table, sources, grad_values, grad_table);
  }
};

}  // namespace
}  // namespace symflow

STABLE_TORCH_LIBRARY_IMPL(symflow, CPU, m) { symflow::implement_resample<symflow::OnCpu>(m); }
