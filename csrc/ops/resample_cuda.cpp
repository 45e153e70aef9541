// symflow::scatter_spread, scatter_read, resample_solve and resample_transpose on the GPU.
#include "../cuda/resample_cuda.h"

#include <torch/csrc/stable/library.h>

#include <tuple>
#include <vector>

#include "cuda.h"
#include "resample.h"

namespace symflow {
namespace {

Tensor scatter_spread_op(const Tensor& points, const Tensor& window, std::int64_t rows, std::int64_t columns) {
  const char* op = "symflow::scatter_spread";
  check_points(op, points);
  const FineGrid grid = fine_grid(op, window, rows, linear_least_rows, 2, columns, points.device());
  const std::vector<std::int64_t> shape = {rows, 2, grid.stride()};
  const OnDevice on(points);
  const Tensor table = torch::stable::new_empty(points, shape);
  check_launch(op, scatter_spread_cuda(grid, read<double>(points), points.size(0), write<double>(table), on.stream));
  return table;
}

Tensor scatter_read_op(const Tensor& grad_table, const Tensor& points, const Tensor& window) {
  const char* op = "symflow::scatter_read";
  check_points(op, points);
  const FineGrid grid = grid_of(op, "grad_table", grad_table, window, linear_least_rows, 2, points.device());
  const OnDevice on(points);
  const Tensor grad_points = torch::stable::empty_like(points);
  check_launch(op, scatter_read_cuda(grid, read<double>(points), points.size(0), read<double>(grad_table),
                                     write<double>(grad_points), on.stream));
  return grad_points;
}

std::tuple<Tensor, Tensor> resample_solve_op(const Tensor& moved, const Tensor& table, const Tensor& window) {
  const char* op = "symflow::resample_solve";
  const FineGrid grid = grid_of(op, "table", table, window, quintic_least_rows, moved_fields, table.device());
  check_tensor(op, "moved", moved, ScalarType::Double, {grid.rows, moved_fields, grid.columns}, table.device());
  const OnDevice on(table);
  const std::vector<std::int64_t> shape = {grid.rows, grid.columns}, pairs = {grid.rows, grid.columns, 2};
  const Tensor values = torch::stable::new_empty(table, shape), sources = torch::stable::new_empty(table, pairs);
  check_launch(op, resample_solve_cuda(grid, read<double>(moved), read<double>(table), write<double>(values),
                                       write<double>(sources), on.stream));
  return {values, sources};
}

Tensor resample_transpose_op(const Tensor& grad, const Tensor& table, const Tensor& window, const Tensor& sources) {
  const char* op = "symflow::resample_transpose";
  const FineGrid grid = grid_of(op, "table", table, window, quintic_least_rows, moved_fields, table.device());
  check_tensor(op, "grad", grad, ScalarType::Double, {grid.rows, grid.columns}, table.device());
  check_tensor(op, "sources", sources, ScalarType::Double, {grid.rows, grid.columns, 2}, table.device());
  const OnDevice on(table);
  const Tensor grad_table = torch::stable::empty_like(table);
  const std::vector<std::int64_t> shape = {grid.rows, grid.columns, moved_fields};
  const Tensor amounts = torch::stable::new_empty(table, shape);
  check_launch(op, resample_transpose_cuda(grid, read<double>(table), read<double>(sources), read<double>(grad),
                                           write<double>(amounts), write<double>(grad_table), on.stream));
  return grad_table;
}

}  // namespace
}  // namespace symflow

STABLE_TORCH_LIBRARY_IMPL(symflow, CUDA, m) {
  m.impl("scatter_spread", TORCH_BOX(&symflow::scatter_spread_op));
  m.impl("scatter_read", TORCH_BOX(&symflow::scatter_read_op));
  m.impl("resample_solve", TORCH_BOX(&symflow::resample_solve_op));
  m.impl("resample_transpose", TORCH_BOX(&symflow::resample_transpose_op));
}
