// Multilinear interpolation of a vector field on a regular grid, for a vector register and a GPU thread.
//
// `Ops` as in elementary.h, and beyond that
//   Integers         as many whole numbers as Value has lanes
//   truncate(a)      the whole part of each, for 0 <= a
//   whole(i)         the same numbers as a Value
// The nodes of a table have a ghost on either side of each axis: a copy of the outermost node or, on a periodic axis,
// of the one at the opposite end. So the corners of every cell exist, and beyond the box the field is constant, with
// derivative zero, without a branch. A point on a node belongs to the cell above it: derivatives are those from above.
#pragma once

#include <cstdint>

#include "elementary.h"
#include "grid_fields.h"
#include "hd.h"

namespace symflow {

// The node, counted from 0, that place i from the lower ghost holds.
template <class T>
SYMFLOW_HD std::int64_t node_at(const GridAxis<T>& axis, std::int64_t i) {
  if (i >= 1 && i <= axis.nodes) return i - 1;
  return (i == 0) == axis.periodic ? axis.nodes - 1 : 0;
}

template <class Ops>
struct Cell {
  typename Ops::Integers node;   // its lower corner, counted from the lower ghost
  typename Ops::Value fraction;  // 0 .. 1 from there to the upper corner
};

// A NaN, and an infinite place on a periodic axis, give the fraction NaN in a cell that exists.
template <class Ops>
SYMFLOW_HD Cell<Ops> find_cell(const GridAxis<typename Ops::Scalar>& axis, typename Ops::Value z) {
  using T = typename Ops::Scalar;
  auto s = (z - Ops::set(axis.origin)) * Ops::set(axis.rate);
  if (axis.periodic) {
    const auto n = Ops::set(T(axis.nodes));
    s = Ops::fma(nearest<Ops>(s * Ops::set(T(1) / T(axis.nodes))), -n, s);
    s = s < Ops::set(0) ? s + n : s;
  }
  s = Ops::min(Ops::set(axis.last), Ops::max(Ops::set(0), s + Ops::set(1)));
  const auto cell = Ops::truncate(Ops::max(s, Ops::set(0)));
  return {cell, s - Ops::whole(cell)};
}

template <class Ops, int d>
struct Multilinear {
  typename Ops::Value value[d];
  typename Ops::Value slope[d][d];  // of each axis, per cell
};

// From the corners of a cell to the point in it. `edge(corner, low, high)` gives the vectors at the two ends of the
// edge along the last axis whose other coordinates are the upper ones where a bit of `corner` is set.
template <class Ops, int d, bool with_slopes, int axis = 0, class Edge>
SYMFLOW_HD Multilinear<Ops, d> interpolate(const typename Ops::Value (&fraction)[d], const Edge& edge, int corner = 0) {
  Multilinear<Ops, d> low, high;
  if constexpr (axis + 1 == d) {
    edge(corner, low.value, high.value);
  } else {
    low = interpolate<Ops, d, with_slopes, axis + 1>(fraction, edge, corner);
    high = interpolate<Ops, d, with_slopes, axis + 1>(fraction, edge, corner | 1 << axis);
  }
  for (int j = 0; j < d; ++j) {
    const auto rise = high.value[j] - low.value[j];
    low.value[j] = Ops::fma(fraction[axis], rise, low.value[j]);
    if constexpr (with_slopes) {
      for (int a = axis + 1; a < d; ++a) {
        low.slope[a][j] = Ops::fma(fraction[axis], high.slope[a][j] - low.slope[a][j], low.slope[a][j]);
      }
      low.slope[axis][j] = rise;
    }
  }
  return low;
}

// The transpose of `interpolate`: shares a vector out to the corners, `edge(corner, low, high)` takes the shares.
template <class Ops, int d, int axis = 0, class Edge>
SYMFLOW_HD void share_out(const typename Ops::Value (&fraction)[d], const typename Ops::Value (&vector)[d],
                          const Edge& edge, int corner = 0) {
  typename Ops::Value low[d], high[d];
  for (int j = 0; j < d; ++j) {
    high[j] = fraction[axis] * vector[j];
    low[j] = vector[j] - high[j];
  }
  if constexpr (axis + 1 == d) {
    edge(corner, low, high);
  } else {
    share_out<Ops, d, axis + 1>(fraction, low, edge, corner);
    share_out<Ops, d, axis + 1>(fraction, high, edge, corner | 1 << axis);
  }
}

}  // namespace symflow
