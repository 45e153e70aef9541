// symflow::scatter_spread, scatter_read, resample_solve and resample_transpose on the CPU: from tensors to the pointers
// of cpu/resample_cpu.h. What happens in Fourier space before and after them is in symflow/ops/resample.py.
#include "../core/resample.h"

#include <torch/csrc/stable/library.h>

#include <tuple>
#include <vector>

#include "../cpu/resample_cpu.h"
#include "glue.h"

namespace symflow {
namespace {

FineGrid fine_grid(const char* op, const Tensor& window, std::int64_t rows, std::int64_t least_rows,
                   std::int64_t fields, std::int64_t columns) {
  STD_TORCH_CHECK(rows >= least_rows && columns >= 1, op, ": the grid must have at least ", least_rows,
                  " rows and one column, got ", rows, " and ", columns);
  STD_TORCH_CHECK(window.dim() == 2 && window.size(0) >= 1, op, ": `window` must have shape [terms, ", window_taps,
                  "]");
  check_tensor(op, "window", window, ScalarType::Double, {window.size(0), window_taps});
  return {rows, fields, columns, window.size(0), read<double>(window)};
}

void check_points(const char* op, const Tensor& points) {
  STD_TORCH_CHECK(points.dim() == 2, op, ": `points` must have shape [N, 3]");
  check_tensor(op, "points", points, ScalarType::Double, {points.size(0), 3});
}

Tensor scatter_spread_op(const Tensor& points, const Tensor& window, std::int64_t rows, std::int64_t columns) {
  const char* op = "symflow::scatter_spread";
  check_points(op, points);
  const FineGrid grid = fine_grid(op, window, rows, 2, 2, columns);
  const std::vector<std::int64_t> shape = {rows, 2, grid.stride()};
  const Tensor table = torch::stable::new_empty(points, shape);
  scatter_spread(grid, host_threads(), read<double>(points), points.size(0), write<double>(table));
  return table;
}

Tensor scatter_read_op(const Tensor& grad_table, const Tensor& points, const Tensor& window) {
  const char* op = "symflow::scatter_read";
  check_points(op, points);
  STD_TORCH_CHECK(grad_table.dim() == 3, op, ": `grad_table` must have shape [rows, 2, 2 columns + ", window_taps, "]");
  const FineGrid grid = fine_grid(op, window, grad_table.size(0), 2, 2, (grad_table.size(2) - window_taps) / 2);
  check_tensor(op, "grad_table", grad_table, ScalarType::Double, {grid.rows, 2, grid.stride()});
  const Tensor grad_points = torch::stable::empty_like(points);
  scatter_read(grid, host_threads(), read<double>(points), points.size(0), read<double>(grad_table),
               write<double>(grad_points));
  return grad_points;
}

// The grid of a table of moved points, whose shape is checked.
FineGrid moved_grid(const char* op, const Tensor& table, const Tensor& window) {
  STD_TORCH_CHECK(table.dim() == 3, op, ": `table` must have shape [rows, 3, 2 columns + ", window_taps, "]");
  const FineGrid grid = fine_grid(op, window, table.size(0), 6, moved_fields, (table.size(2) - window_taps) / 2);
  check_tensor(op, "table", table, ScalarType::Double, {grid.rows, moved_fields, grid.stride()});
  return grid;
}

std::tuple<Tensor, Tensor> resample_solve_op(const Tensor& moved, const Tensor& table, const Tensor& window) {
  const char* op = "symflow::resample_solve";
  const FineGrid grid = moved_grid(op, table, window);
  check_tensor(op, "moved", moved, ScalarType::Double, {grid.rows, moved_fields, grid.columns});
  const std::vector<std::int64_t> shape = {grid.rows, grid.columns}, pairs = {grid.rows, grid.columns, 2};
  const Tensor values = torch::stable::new_empty(table, shape), sources = torch::stable::new_empty(table, pairs);
  resample_solve(grid, host_threads(), read<double>(moved), read<double>(table), write<double>(values),
                 write<double>(sources));
  return {values, sources};
}

Tensor resample_transpose_op(const Tensor& grad, const Tensor& table, const Tensor& window, const Tensor& sources) {
  const char* op = "symflow::resample_transpose";
  const FineGrid grid = moved_grid(op, table, window);
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
