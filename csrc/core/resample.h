// Rows of periodic functions between their nodes: values and slopes, the inverse of a map, and sums over points.
//
// A row of n numbers stands for its Fourier series. It is stored on a grid twice as fine, divided in Fourier space by
// the transform of a window of sixteen fine cells; sixteen of those numbers, weighted by the window, then give the
// series anywhere (a non-uniform Fourier transform of type 2), and its transpose the sums of type 1 (Dutt and Rokhlin
// 1993; Potts, Steidl and Tasche 2001). The window is a table of polynomials, one per tap; the caller chose it and did
// the division. Across rows the functions are interpolated by polynomials.
//
// Positions count cells: column c of n, row r of the grid. `Ops` names the arithmetic, as in elementary.h, with
//   lanes           numbers in a Value, a divisor of `taps`
//   load(p), sum(v) lanes numbers from memory; the sum of the lanes
#pragma once

#include <cmath>
#include <cstdint>

#include "hd.h"

namespace symflow {

constexpr int window_taps = 16;

// A table of `rows` x `fields` fine rows. Its column q is the fine node q - 7, modulo the period, so that the taps of a
// point lie side by side from the node at its left on: [rows, fields, fine_columns + window_taps].
struct FineGrid {
  std::int64_t rows, fields, columns;  // columns of the grid itself, n
  std::int64_t terms;                  // of the window's polynomials
  const double* window;                // [terms, window_taps], in the offset -1 .. 1 across a fine cell, rising powers

  SYMFLOW_HD std::int64_t fine_columns() const { return 2 * columns; }
  SYMFLOW_HD std::int64_t stride() const { return fine_columns() + window_taps; }
  SYMFLOW_HD std::int64_t size() const { return rows * fields * stride(); }
};

// Where a column lies on the fine grid: its first tap in the table, and the offset within the fine cell.
struct Place {
  std::int64_t tap;
  double offset;
};

// A column that is not finite has no place: its first tap is 0 and its offset, hence all it touches, NaN.
SYMFLOW_HD Place place_of(const FineGrid& grid, double column) {
  const double fine = 2 * column, node = std::floor(fine), period = double(grid.fine_columns());
  double tap = node - period * std::floor(node / period);
  if (!(tap >= 0 && tap < period)) tap = 0;  // the quotient was rounded up to a whole number, or not finite
  return {std::int64_t(tap), 2 * (fine - node) - 1};
}

template <class Ops>
struct WindowJet {
  typename Ops::Value value, slope;
};

// The window and its derivative in the offset, at taps [tap, tap + lanes).
template <class Ops>
SYMFLOW_HD WindowJet<Ops> window_jet(const FineGrid& grid, int tap, double offset) {
  const auto s = Ops::set(offset);
  auto value = Ops::load(grid.window + (grid.terms - 1) * window_taps + tap), slope = Ops::set(0);
  for (std::int64_t term = grid.terms - 2; term >= 0; --term) {
    slope = Ops::fma(slope, s, value);
    value = Ops::fma(value, s, Ops::load(grid.window + term * window_taps + tap));
  }
  return {value, slope};
}
constexpr double offset_per_cell = 4;  // two fine cells, each two units of offset

template <class Ops>
SYMFLOW_HD typename Ops::Value window_value(const FineGrid& grid, int tap, double offset) {
  const auto s = Ops::set(offset);
  auto value = Ops::load(grid.window + (grid.terms - 1) * window_taps + tap);
  for (std::int64_t term = grid.terms - 2; term >= 0; --term) {
    value = Ops::fma(value, s, Ops::load(grid.window + term * window_taps + tap));
  }
  return value;
}

// Neighbouring rows and their weights at a point between them, with the derivatives of the weights.
template <int rows>
struct RowStencil {
  static constexpr int count = rows;
  std::int64_t first;
  double value[rows], slope[rows];
};

using Linear = RowStencil<2>;
using Quintic = RowStencil<6>;

// A point less than a row outside has a share in the outermost row alone: weight 0 for the row next to it.
SYMFLOW_HD Linear linear_rows(double row, std::int64_t rows) {
  const double below = std::floor(row), part = row - below;
  const std::int64_t first = std::int64_t(below);
  if (first < 0) return {0, {part, 0}, {1, 0}};
  if (first > rows - 2) return {rows - 2, {0, 1 - part}, {0, -1}};
  return {first, {1 - part, part}, {-1, 1}};
}

// Whether a point has a share in any row; a NaN has none.
SYMFLOW_HD bool within_reach(double row, std::int64_t rows) { return row > -1 && row < double(rows); }

// The polynomial of degree five through six rows (Lagrange), as many above as below, one-sided near the ends.
SYMFLOW_HD Quintic quintic_rows(double row, std::int64_t rows) {
  constexpr double scale[6] = {-1.0 / 120, 1.0 / 24, -1.0 / 12, 1.0 / 12, -1.0 / 24, 1.0 / 120};
  Quintic stencil;
  const std::int64_t first = std::int64_t(std::floor(row)) - 2, last = rows - 6;
  stencil.first = first < 0 ? 0 : first > last ? last : first;
  // prod_{k < j} (z - k) and prod_{k > j} (z - k) with their derivatives
  double before[6], before_slope[6], after = 1, after_slope = 0;
  before[0] = 1;
  before_slope[0] = 0;
  const double z = row - double(stencil.first);
  for (int j = 1; j < 6; ++j) {
    before[j] = before[j - 1] * (z - (j - 1));
    before_slope[j] = before_slope[j - 1] * (z - (j - 1)) + before[j - 1];
  }
  for (int j = 5; j >= 0; --j) {
    stencil.value[j] = scale[j] * before[j] * after;
    stencil.slope[j] = scale[j] * (before_slope[j] * after + before[j] * after_slope);
    after_slope = after_slope * (z - j) + after;
    after *= z - j;
  }
  return stencil;
}

// A function at a point, with its derivatives per cell.
struct Jet {
  double value, column_slope, row_slope;
};

// Fields [field, field + fields) of the table at a point. All rows of the stencil lie in the table.
template <class Ops, int fields, class Stencil>
SYMFLOW_HD void read_jets(const FineGrid& grid, const double* table, int field, double column, const Stencil& rows,
                          Jet (&jets)[fields]) {
  const Place place = place_of(grid, column);
  const double* corner = table + (rows.first * grid.fields + field) * grid.stride() + place.tap;
  typename Ops::Value value[fields], along[fields], across[fields];
  for (int f = 0; f < fields; ++f) value[f] = along[f] = across[f] = Ops::set(0);
  for (int tap = 0; tap < window_taps; tap += Ops::lanes) {
    const auto window = window_jet<Ops>(grid, tap, place.offset);
    for (int f = 0; f < fields; ++f) {
      const double* at = corner + f * grid.stride() + tap;
      auto sum = Ops::set(0), slope = Ops::set(0);
      for (int j = 0; j < Stencil::count; ++j) {
        const auto t = Ops::load(at + j * grid.fields * grid.stride());
        sum = Ops::fma(Ops::set(rows.value[j]), t, sum);
        slope = Ops::fma(Ops::set(rows.slope[j]), t, slope);
      }
      value[f] = Ops::fma(window.value, sum, value[f]);
      along[f] = Ops::fma(window.slope, sum, along[f]);
      across[f] = Ops::fma(window.value, slope, across[f]);
    }
  }
  for (int f = 0; f < fields; ++f) {
    jets[f] = {Ops::sum(value[f]), offset_per_cell * Ops::sum(along[f]), Ops::sum(across[f])};
  }
}

// One field at a point.
template <class Ops, class Stencil>
SYMFLOW_HD double read_value(const FineGrid& grid, const double* table, int field, double column, const Stencil& rows) {
  const Place place = place_of(grid, column);
  const double* corner = table + (rows.first * grid.fields + field) * grid.stride() + place.tap;
  auto value = Ops::set(0);
  for (int tap = 0; tap < window_taps; tap += Ops::lanes) {
    auto sum = Ops::set(0);
    for (int j = 0; j < Stencil::count; ++j) {
      sum = Ops::fma(Ops::set(rows.value[j]), Ops::load(corner + j * grid.fields * grid.stride() + tap), sum);
    }
    value = Ops::fma(window_value<Ops>(grid, tap, place.offset), sum, value);
  }
  return Ops::sum(value);
}

// ---- the inverse of a map -----------------------------------------------------------------------------------------

// The fields of a table that describes moved points: displacements in cells, and what is carried along.
enum MovedField { moved_column, moved_row, moved_value, moved_fields };

struct Inverse {
  static constexpr int steps = 16;           // Newton's at most
  static constexpr double last_step = 1e-6;  // cells; the error after it is of the order of its square
  static constexpr double slack = 1e-9;      // rows by which rounding may put a source outside the window
};

// z -> J^-1 z and z -> J^-T z for J = 1 + the derivative of the displacement.
struct Jacobian {
  double a, b, c, d, inverse_determinant;

  SYMFLOW_HD Jacobian(const Jet& column, const Jet& row)
      : a(1 + column.column_slope), b(column.row_slope), c(row.column_slope), d(1 + row.row_slope) {
    inverse_determinant = 1 / (a * d - b * c);
  }
  SYMFLOW_HD void solve(double& column, double& row) const {
    const double x = column, y = row;
    column = (d * x - b * y) * inverse_determinant;
    row = (a * y - c * x) * inverse_determinant;
  }
  SYMFLOW_HD void solve_transposed(double& column, double& row) const {
    const double x = column, y = row;
    column = (d * x - c * y) * inverse_determinant;
    row = (a * y - b * x) * inverse_determinant;
  }
};

// Newton's method for the source of a node: (column, row) + displacement(column, row) = node. Comes in with a first
// guess; true if it converged to a point between the first and the last row.
//
// Guesses are held within a row of the window, where the polynomials of its ends still say which way to go; a source
// that lies further out holds them twice.
template <class Ops>
SYMFLOW_HD bool find_source(const FineGrid& grid, const double* table, double node_column, double node_row,
                            double& column, double& row) {
  const double first = -1, last = double(grid.rows), longest = double(grid.rows + grid.columns);
  bool was_held = false;
  for (int step = 0; step < Inverse::steps; ++step) {
    const bool held = row < first || row > last;
    if (held && was_held) return false;
    was_held = held;
    row = row < first ? first : row > last ? last : row;
    // Also refuses what is not a number, and the step of a singular Jacobian.
    if (!(std::fabs(column - node_column) < 1e6 * longest && std::fabs(row) <= longest)) return false;
    Jet moved[2];
    read_jets<Ops>(grid, table, moved_column, column, quintic_rows(row, grid.rows), moved);
    double column_step = column + moved[0].value - node_column, row_step = row + moved[1].value - node_row;
    Jacobian(moved[0], moved[1]).solve(column_step, row_step);
    column -= column_step;
    row -= row_step;
    if (std::fabs(column_step) <= Inverse::last_step && std::fabs(row_step) <= Inverse::last_step) {
      return row >= -Inverse::slack && row <= double(grid.rows - 1) + Inverse::slack;
    }
  }
  return false;
}

}  // namespace symflow
