// symflow::scatter_spread, scatter_read, resample_solve and resample_transpose, from tensors to pointers, for both
// processors. What happens in Fourier space before and after them is in symflow/ops/resample.py.
//
// A `Processor` offers spread, read, solve and transpose of cpu/resample_cpu.h, and is made from the operator's name
// and a tensor.
#pragma once

#include <torch/csrc/stable/library.h>

#include <tuple>
#include <vector>

#include "../core/resample.h"
#include "glue.h"

namespace symflow {

inline FineGrid fine_grid(const char* op, const Tensor& window, std::int64_t rows, std::int64_t least_rows,
                          std::int64_t fields, std::int64_t columns, const torch::stable::Device& device) {
  STD_TORCH_CHECK(rows >= least_rows && columns >= 1, op, ": the grid must have at least ", least_rows,
                  " rows and one column, got ", rows, " and ", columns);
  STD_TORCH_CHECK(window.dim() == 2 && window.size(0) >= 1, op, ": `window` must have shape [terms, ", window_taps,
                  "]");
  check_tensor(op, "window", window, ScalarType::Double, {window.size(0), window_taps}, device);
  return {rows, fields, columns, window.size(0), read<double>(window)};
}

inline void check_points(const char* op, const Tensor& points) {
  STD_TORCH_CHECK(points.dim() == 2, op, ": `points` must have shape [N, 3]");
  check_tensor(op, "points", points, ScalarType::Double, {points.size(0), 3}, points.device());
}

// The grid of a table of `fields` fields, whose shape is checked.
inline FineGrid grid_of(const char* op, const char* name, const Tensor& table, const Tensor& window,
                        std::int64_t least_rows, std::int64_t fields, const torch::stable::Device& device) {
  STD_TORCH_CHECK(table.dim() == 3, op, ": `", name, "` must have shape [rows, ", fields, ", 2 columns + ", window_taps,
                  "]");
  const FineGrid grid =
      fine_grid(op, window, table.size(0), least_rows, fields, (table.size(2) - window_taps) / 2, device);
  check_tensor(op, name, table, ScalarType::Double, {grid.rows, fields, grid.stride()}, device);
  return grid;
}

constexpr std::int64_t linear_least_rows = 2, quintic_least_rows = 6;

template <class Processor>
Tensor scatter_spread_op(const Tensor& points, const Tensor& window, std::int64_t rows, std::int64_t columns) {
  const char* op = "symflow::scatter_spread";
  check_points(op, points);
  const FineGrid grid = fine_grid(op, window, rows, linear_least_rows, 2, columns, points.device());
  const std::vector<std::int64_t> shape = {rows, 2, grid.stride()};
  const Tensor table = torch::stable::new_empty(points, shape);
  Processor(op, points).spread(grid, read<double>(points), points.size(0), write<double>(table));
  return table;
}

template <class Processor>
Tensor scatter_read_op(const Tensor& grad_table, const Tensor& points, const Tensor& window) {
  const char* op = "symflow::scatter_read";
  check_points(op, points);
  const FineGrid grid = grid_of(op, "grad_table", grad_table, window, linear_least_rows, 2, points.device());
  const Tensor grad_points = torch::stable::empty_like(points);
  Processor(op, points)
      .read(grid, read<double>(points), points.size(0), read<double>(grad_table), write<double>(grad_points));
  return grad_points;
}

template <class Processor>
std::tuple<Tensor, Tensor> resample_solve_op(const Tensor& moved, const Tensor& table, const Tensor& window) {
  const char* op = "symflow::resample_solve";
  const FineGrid grid = grid_of(op, "table", table, window, quintic_least_rows, moved_fields, table.device());
  check_tensor(op, "moved", moved, ScalarType::Double, {grid.rows, moved_fields, grid.columns}, table.device());
  const std::vector<std::int64_t> shape = {grid.rows, grid.columns}, pairs = {grid.rows, grid.columns, 2};
  const Tensor values = torch::stable::new_empty(table, shape), sources = torch::stable::new_empty(table, pairs);
  Processor(op, table).solve(grid, read<double>(moved), read<double>(table), write<double>(values),
                             write<double>(sources));
  return {values, sources};
}

template <class Processor>
Tensor resample_transpose_op(const Tensor& grad, const Tensor& table, const Tensor& window, const Tensor& sources) {
  const char* op = "symflow::resample_transpose";
  const FineGrid grid = grid_of(op, "table", table, window, quintic_least_rows, moved_fields, table.device());
  check_tensor(op, "grad", grad, ScalarType::Double, {grid.rows, grid.columns}, table.device());
  check_tensor(op, "sources", sources, ScalarType::Double, {grid.rows, grid.columns, 2}, table.device());
  const Tensor grad_table = torch::stable::empty_like(table);
  Processor(op, table).transpose(grid, read<double>(table), read<double>(sources), read<double>(grad),
                                 write<double>(grad_table));
  return grad_table;
}

template <class Processor, class Library>
void implement_resample(Library& m) {
  m.impl("scatter_spread", TORCH_BOX(&scatter_spread_op<Processor>));
  m.impl("scatter_read", TORCH_BOX(&scatter_read_op<Processor>));
  m.impl("resample_solve", TORCH_BOX(&resample_solve_op<Processor>));
  m.impl("resample_transpose", TORCH_BOX(&resample_transpose_op<Processor>));
}

}  // namespace symflow
