// Resampling for one instruction set (see simd.h for how it is included).
#pragma once

#include <cmath>
#include <cstdint>

#include "../core/resample.h"
#include "resample_cpu.h"
#include "simd.h"

namespace symflow {
namespace SYMFLOW_ISA {

using Ops = Simd<double>;
using Index = std::int64_t;

// table[row][field] += value[row] amount[field] window, for all fields of the table: the transpose of reading.
template <int fields, class Stencil>
SYMFLOW_HD void add(const FineGrid& grid, double column, const Stencil& rows, const double (&amount)[fields],
                    double* table) {
  const Place place = place_of(grid, column);
  double* corner = table + rows.first * fields * grid.stride() + place.tap;
  for (int tap = 0; tap < window_taps; tap += Ops::lanes) {
    const auto window = window_value<Ops>(grid, tap, place.offset);
    for (int j = 0; j < Stencil::count; ++j) {
      for (int f = 0; f < fields; ++f) {
        double* at = corner + (j * fields + f) * grid.stride() + tap;
        Ops::store(at, Ops::fma(Ops::set(rows.value[j] * amount[f]), window, Ops::load(at)));
      }
    }
  }
}

inline void spread(const FineGrid& grid, const double* points, Index begin, Index end, double* table) {
  for (const double *p = points + 3 * begin, *last = points + 3 * end; p < last; p += 3) {
    if (within_reach(p[1], grid.rows)) add(grid, p[0], linear_rows(p[1], grid.rows), {p[2], 1.0}, table);
  }
}

inline void read(const FineGrid& grid, const double* points, Index begin, Index end, const double* grad_table,
                 double* grad_points) {
  for (Index i = begin; i < end; ++i) read_point<Ops>(grid, grad_table, points + 3 * i, grad_points + 3 * i);
}

inline void transpose(const FineGrid& grid, const double* table, const double* sources, const double* grad_values,
                      Index begin, Index end, double* grad_table) {
  for (Index node = begin; node < end; ++node) {
    const double column = sources[2 * node], row = sources[2 * node + 1];
    if (std::isnan(row)) continue;
    const Quintic rows = quintic_rows(row, grid.rows);
    double amounts[moved_fields];
    amounts_at<Ops>(grid, table, column, rows, grad_values[node], amounts);
    add(grid, column, rows, amounts, grad_table);
  }
}

// Nodes search side by side: a step of one does not wait for that of the other.
constexpr int searches = 16;

inline void solve_row(const FineGrid& grid, const double* moved, const double* table, Index row, double* values,
                      double* sources) {
  for (Index node = 0; node < grid.columns; node += searches) {
    const int count = grid.columns - node < searches ? int(grid.columns - node) : searches;
    Search search[searches];
    for (int i = 0; i < count; ++i) search[i] = first_guess(grid, moved, double(node + i), double(row));
    bool going = true;
    for (int step = 0; step < Inverse::steps && going; ++step) {
      going = false;
      for (int i = 0; i < count; ++i) {
        if (search[i].state != Search::going) continue;
        newton_step<Ops>(grid, table, double(node + i), double(row), search[i]);
        going = going || search[i].state == Search::going;
      }
    }
    for (int i = 0; i < count; ++i) {
      const Index at = row * grid.columns + node + i;
      read_source<Ops>(grid, table, search[i], values[at], sources + 2 * at);
    }
  }
}

extern const ResampleKernels resample_kernels;
const ResampleKernels resample_kernels = {spread, read, transpose, solve_row};

}  // namespace SYMFLOW_ISA
}  // namespace symflow
