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

// A whole number modulo the period. 0 where the quotient was rounded up to a whole number, and for what is not finite.
SYMFLOW_HD double wrapped(double node, double period) {
  const double rest = node - period * std::floor(node / period);
  return rest >= 0 && rest < period ? rest : 0;
}

// A column that is not finite has no place: its first tap is 0 and its offset, hence all it touches, NaN.
SYMFLOW_HD Place place_of(const FineGrid& grid, double column) {
  const double fine = 2 * column, node = std::floor(fine);
  return {std::int64_t(wrapped(node, double(grid.fine_columns()))), 2 * (fine - node) - 1};
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

// The gradient of a scattered point (column, row, u) from that of the table, whose two fields are the sums of u and 1.
template <class Ops>
SYMFLOW_HD void read_point(const FineGrid& grid, const double* grad_table, const double* point, double* grad_point) {
  Jet jets[2] = {};
  if (within_reach(point[1], grid.rows)) {
    read_jets<Ops>(grid, grad_table, 0, point[0], linear_rows(point[1], grid.rows), jets);
  }
  grad_point[0] = point[2] * jets[0].column_slope + jets[1].column_slope;
  grad_point[1] = point[2] * jets[0].row_slope + jets[1].row_slope;
  grad_point[2] = jets[0].value;
}

// ---- the inverse of a map -----------------------------------------------------------------------------------------

// The fields of a table that describes moved points: displacements in cells, and what is carried along.
enum MovedField { moved_column, moved_row, moved_value, moved_fields };

struct Inverse {
  static constexpr int steps = 16;           // Newton's at most
  static constexpr double last_step = 1e-7;  // cells; the error after it is of the order of its square
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

// A search for the source of a node: (column, row) + displacement(column, row) = node.
struct Search {
  enum State { going, found, lost } state;
  bool held;  // at the last step
  double column, row;
};

struct Displacement {
  double column, row;
};

// Linearly between four nodes of `moved` [rows, moved_fields, columns].
SYMFLOW_HD Displacement between_nodes(const FineGrid& grid, const double* moved, double column, double row) {
  const double whole = std::floor(column), right = column - whole;
  const std::int64_t left = std::int64_t(wrapped(whole, double(grid.columns)));
  const std::int64_t next = left + 1 < grid.columns ? left + 1 : 0;
  const double last = double(grid.rows - 1);
  row = row > 0 ? row < last ? row : last : 0;
  const std::int64_t above = row < last ? std::int64_t(row) : grid.rows - 2;
  const double below = row - double(above);
  const auto field = [&](MovedField f) {
    const double* upper = moved + (above * moved_fields + f) * grid.columns;
    const double* lower = upper + moved_fields * grid.columns;
    const double first = upper[left] + right * (upper[next] - upper[left]);
    return first + below * (lower[left] + right * (lower[next] - lower[left]) - first);
  };
  return {field(moved_column), field(moved_row)};
}

// A first guess: the node less its own displacement, and twice less that of the guess before, between nodes. Where the
// displacement varies slowly two steps of Newton's method are then enough.
SYMFLOW_HD Search first_guess(const FineGrid& grid, const double* moved, double node_column, double node_row) {
  Search search = {Search::going, false, node_column, node_row};
  for (int i = 0; i < 3; ++i) {
    const Displacement by = between_nodes(grid, moved, search.column, search.row);
    search.column = node_column - by.column;
    search.row = node_row - by.row;
  }
  return search;
}

// One step of Newton's method; it ends in a point between the first and the last row, or nowhere.
//
// Guesses are held within a row of the window, where the polynomials of its ends still say which way to go; a source
// that lies further out holds them twice.
template <class Ops>
SYMFLOW_HD void newton_step(const FineGrid& grid, const double* table, double node_column, double node_row,
                            Search& search) {
  const double first = -1, last = double(grid.rows), longest = double(grid.rows + grid.columns);
  const bool held = search.row < first || search.row > last;
  search.row = search.row < first ? first : search.row > last ? last : search.row;
  // Also refuses what is not a number, and the step of a singular Jacobian.
  if ((held && search.held) || !(std::fabs(search.column - node_column) < 1e6 * longest && search.row <= last)) {
    search.state = Search::lost;
    return;
  }
  search.held = held;
  Jet moved[2];
  read_jets<Ops>(grid, table, moved_column, search.column, quintic_rows(search.row, grid.rows), moved);
  double column = search.column + moved[moved_column].value - node_column;
  double row = search.row + moved[moved_row].value - node_row;
  Jacobian(moved[moved_column], moved[moved_row]).solve(column, row);
  search.column -= column;
  search.row -= row;
  if (std::fabs(column) <= Inverse::last_step && std::fabs(row) <= Inverse::last_step) {
    const bool inside = search.row >= -Inverse::slack && search.row <= double(grid.rows - 1) + Inverse::slack;
    search.state = inside ? Search::found : Search::lost;
  }
}

// What a search ends with: the value at the source, and the source; 0 and NaN without one.
template <class Ops>
SYMFLOW_HD void read_source(const FineGrid& grid, const double* table, const Search& search, double& value,
                            double* source) {
  constexpr double none = NAN;
  value = 0;
  source[0] = source[1] = none;
  if (search.state != Search::found) return;
  value = read_value<Ops>(grid, table, moved_value, search.column, quintic_rows(search.row, grid.rows));
  source[0] = search.column;
  source[1] = search.row;
}

// What the gradient of a node's value adds to those of the three fields at its source z: as z + displacement(z) = node,
// dz = -J^-1 d displacement(z), and the value U(z) changes by dU(z) + grad U . dz.
template <class Ops>
SYMFLOW_HD void amounts_at(const FineGrid& grid, const double* table, double column, const Quintic& rows, double grad,
                           double (&amounts)[moved_fields]) {
  Jet jets[moved_fields];
  read_jets<Ops>(grid, table, 0, column, rows, jets);
  double by_column = jets[moved_value].column_slope, by_row = jets[moved_value].row_slope;
  Jacobian(jets[moved_column], jets[moved_row]).solve_transposed(by_column, by_row);
  amounts[moved_column] = -grad * by_column;
  amounts[moved_row] = -grad * by_row;
  amounts[moved_value] = grad;
}

}  // namespace symflow
