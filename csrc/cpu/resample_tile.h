// Resampling for one instruction set (see simd.h for how it is included).
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

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
  for (Index i = begin; i < end; ++i) {
    const double *p = points + 3 * i, u = p[2];
    Jet jets[2] = {};
    if (within_reach(p[1], grid.rows)) read_jets<Ops>(grid, grad_table, 0, p[0], linear_rows(p[1], grid.rows), jets);
    grad_points[3 * i] = u * jets[0].column_slope + jets[1].column_slope;
    grad_points[3 * i + 1] = u * jets[0].row_slope + jets[1].row_slope;
    grad_points[3 * i + 2] = jets[0].value;
  }
}

inline void solve_row(const FineGrid& grid, const double* moved, const double* table, Index row, double* values,
                      double* sources) {
  const double* displacement = moved + row * moved_fields * grid.columns;
  for (Index node = 0; node < grid.columns; ++node) {
    const Index at = row * grid.columns + node;
    double c = double(node) - displacement[moved_column * grid.columns + node];
    double r = double(row) - displacement[moved_row * grid.columns + node];
    const bool found = find_source<Ops>(grid, table, double(node), double(row), c, r);
    values[at] = found ? read_value<Ops>(grid, table, moved_value, c, quintic_rows(r, grid.rows)) : 0.0;
    sources[2 * at] = found ? c : std::numeric_limits<double>::quiet_NaN();
    sources[2 * at + 1] = found ? r : std::numeric_limits<double>::quiet_NaN();
  }
}

// With z the source of a node, z + displacement(z) = node: dz = -J^-1 d displacement(z), and the value U(z) changes by
// dU(z) + grad U . dz.
inline void transpose_row(const FineGrid& grid, const double* table, const double* sources, const double* grad_values,
                          Index row, double* grad_table) {
  for (Index at = row * grid.columns; at < (row + 1) * grid.columns; ++at) {
    const double c = sources[2 * at], r = sources[2 * at + 1], grad = grad_values[at];
    if (std::isnan(r) || grad == 0) continue;
    const Quintic rows = quintic_rows(r, grid.rows);
    Jet jets[moved_fields];
    read_jets<Ops>(grid, table, 0, c, rows, jets);
    double column = jets[moved_value].column_slope, along = jets[moved_value].row_slope;
    Jacobian(jets[moved_column], jets[moved_row]).solve_transposed(column, along);
    add(grid, c, rows, {-grad * column, -grad * along, grad}, grad_table);
  }
}

extern const ResampleKernels resample_kernels;
const ResampleKernels resample_kernels = {spread, read, solve_row, transpose_row};

}  // namespace SYMFLOW_ISA
}  // namespace symflow
