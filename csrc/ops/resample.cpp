// symflow::scatter_spread, scatter_read, resample_solve and resample_transpose on the CPU: from tensors to the pointers
// of cpu/resample_cpu.h. What happens in Fourier space before and after them is in symflow/ops/resample.py.
#include "resample.h"

#include <torch/csrc/stable/library.h>

#include <tuple>
#include <vector>

#include "../cpu/resample_cpu.h"

namespace symflow {
namespace {

Tensor scatter_spread_op(const Tensor& points, const Tensor& window, std::int64_t rows, std::int64_t columns) {
  const char* op = "symflow::scatter_spread";
  check_points(op, points);
  const FineGrid grid = fine_grid(op, window, rows, linear_least_rows, 2, columns, points.device());
  const std::vector<std::int64_t> shape = {rows, 2, grid.stride()};
  const Tensor table = torch::stable::new_empty(points, shape);
  scatter_spread(grid, host_threads(), read<double>(points), points.size(0), write<double>(table));
  return table;
}

Tensor scatter_read_op(const Tensor& grad_table, const Tensor& points, const Tensor& window) {
  const char* op = "symflow::scatter_read";
  check_points(op, points);
  const FineGrid grid = grid_of(op, "grad_table", grad_table, window, linear_least_rows, 2, points.device());
  const Tensor grad_points = torch::stable::empty_like(points);
  scatter_read(grid, host_threads(), read<double>(points), points.size(0), read<double>(grad_table),
               write<double>(grad_points));
  return grad_points;
}

std::tuple<Tensor, Tensor> resample_solve_op(const Tensor& moved, const Tensor& table, const Tensor& window) {
  const char* op = "symflow::resample_solve";
  const FineGrid grid = grid_of(op, "table", table, window, quintic_least_rows, moved_fields, table.device());
  check_tensor(op, "moved", moved, ScalarType::Double, {grid.rows, moved_fields, grid.columns});
  const std::vector<std::int64_t> shape = {grid.rows, grid.columns}, pairs = {grid.rows, grid.columns, 2};
  const Tensor values = torch::stable::new_empty(table, shape), sources = torch::stable::new_empty(table, pairs);
  resample_solve(grid, host_threads(), read<double>(moved), read<double>(table), write<double>(values),
                 write<double>(sources));
  return {values, sources};
}

Tensor resample_transpose_op(const Tensor& grad, const Tensor& table, const Tensor& window, const Tensor& sources) {
  const char* op = "symflow::resample_transpose";
  const FineGrid grid = grid_of(op, "table", table, window, quintic_least_rows, moved_fields, table.device());
  check_tensor(op, "grad", grad, ScalarType::Double, {grid.rows, grid.columns});
  check_tensor(op, "sources", sources, ScalarType::Double, {grid.rows, grid.columns, 2});
  const Tensor grad_table = torch::stable::empty_like(table);
  resample_transpose(grid, host_threads(), read<double>(table), read<double>(sources), read<double>(grad),
                     write<double>(grad_table));
  return grad_table;
}

}  // namespace
}  // namespace symflow

STABLE_TORCH_LIBRARY_IMPL(symflow, CPU, m) {
  m.impl("scatter_spread", TORCH_BOX(&symflow::scatter_spread_op));
  m.impl("scatter_read", TORCH_BOX(&symflow::scatter_read_op));
  m.impl("resample_solve", TORCH_BOX(&symflow::resample_solve_op));
  m.impl("resample_transpose", TORCH_BOX(&symflow::resample_transpose_op));
}
