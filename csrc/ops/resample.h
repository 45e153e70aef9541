// What the glue of resampling checks on either device.
#pragma once

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

}  // namespace symflow
