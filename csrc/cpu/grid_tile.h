// A vector field on a grid for a tile of points (see simd.h for how it is included).
#pragma once

#include <cstddef>
#include <cstdint>

#include "../core/grid.h"
#include "blocks.h"
#include "grid_flow_cpu.h"
#include "pieces.h"
#include "simd.h"
#include "stepping.h"

namespace symflow {
namespace SYMFLOW_ISA {

constexpr Index grid_tile = 64;  // points; the stages of an adjoint then stay in the first cache

// How the nodes of a table lie: a vector takes `components` numbers, so that an edge is a whole number of pieces.
template <class T, int d>
struct GridLayout {
  static constexpr int components = int(round_up(2 * d, piece<T>)) / 2;
  Index stride[d];
  Index size;

  explicit GridLayout(const GridFields<T>& fields) {
    size = components;
    for (int a = d - 1; a >= 0; --a) {
      stride[a] = size;
      size *= fields.axes[a].nodes + 2;
    }
  }
};

// For every line of nodes along the last axis, ghosts included: body(place in the table, node of the field it holds).
template <class T, int d, class Body>
SYMFLOW_HD void for_each_line(const GridFields<T>& fields, Body body) {
  const GridLayout<T, d> layout(fields);
  const Index line = d > 1 ? layout.stride[d > 1 ? d - 2 : 0] : layout.size;
  for (Index at = 0; at < layout.size; at += line) {
    Index node = 0, rest = at;
    for (int a = 0; a + 1 < d; ++a) {
      node = node * fields.axes[a].nodes + node_at(fields.axes[a], rest / layout.stride[a]);
      rest %= layout.stride[a];
    }
    body(at, node * fields.axes[d - 1].nodes);
  }
}

// table = sum_k w_k V_k with ghosts.
template <class T, int d>
void combine(const GridFields<T>& fields, const T* weights, T* table) {
  constexpr Index c = GridLayout<T, d>::components;
  const GridAxis<T>& axis = fields.axes[d - 1];
  const Index numbers = axis.nodes * d, size = fields.size();
  for_each_line<T, d>(fields, [&](Index at, Index node) {
    T* line = table + at;
    for (Index i = 0; i < (axis.nodes + 2) * c; ++i) line[i] = 0;
    for (Index k = 0; k < fields.generators; ++k) {
      const T weight = weights[k];
      if (weight == 0) continue;
      const T* values = fields.values + k * size + node * d;
      T* inner = line + c;
      for (Index e = 0; e < numbers; ++e) inner[e / d * c + e % d] += weight * values[e];
    }
    for (const Index ghost : {Index(0), axis.nodes + 1}) {
      for (Index j = 0; j < d; ++j) line[ghost * c + j] = line[(node_at(axis, ghost) + 1) * c + j];
    }
  });
}

// The transpose of filling a table: the gradient of sum_k w_k V_k from that of the edges.
template <class T, int d>
void collect(const GridFields<T>& fields, const T* grad_edges, T* grad_field) {
  constexpr Index c = GridLayout<T, d>::components;
  const GridAxis<T>& axis = fields.axes[d - 1];
  const Index size = fields.size();
  for (Index i = 0; i < size; ++i) grad_field[i] = 0;
  for_each_line<T, d>(fields, [&](Index at, Index node) {
    for (Index cell = 0; cell <= axis.nodes; ++cell) {
      const T* edge = grad_edges + 2 * (at + cell * c);
      T* low = grad_field + (node + node_at(axis, cell)) * d;
      T* high = grad_field + (node + node_at(axis, cell + 1)) * d;
      for (Index j = 0; j < d; ++j) low[j] += edge[j];
      for (Index j = 0; j < d; ++j) high[j] += edge[c + j];
    }
  });
}

// In double, in a fixed order.
template <class T>
double inner_product(const T* a, const T* b, Index count) {
  constexpr int ways = 16;
  double sums[ways] = {};
  Index i = 0;
  for (; i + ways <= count; i += ways) {
    for (int way = 0; way < ways; ++way) sums[way] += double(a[i + way]) * double(b[i + way]);
  }
  for (; i < count; ++i) sums[0] += double(a[i]) * double(b[i]);
  double sum = 0;
  for (const double way : sums) sum += way;
  return sum;
}

// Where the points of a tile lie: the places of their cells in the table, and how far into them.
template <class T, int d>
struct GridPlaces {
  typename Simd<T>::Integer at[grid_tile];
  T fraction[d][grid_tile];
};

// What an evaluation leaves behind for its adjoint, and its velocity.
template <class T, int d>
struct GridStage {
  GridPlaces<T, d> places;
  T slope[d][d][grid_tile];  // d V_j / d z_a at [a][j]
  T velocity[d][grid_tile];
};

// The field of a table at the points of a tile.
template <class T, int d>
struct GridTile {
  using S = Simd<T>;
  using Value = typename S::Value;
  using Integers = typename S::Integers;
  static constexpr int c = GridLayout<T, d>::components, edge_pieces = 2 * c / piece<T>;

  const GridFields<T>& fields;
  GridLayout<T, d> layout;

  explicit GridTile(const GridFields<T>& g) : fields(g), layout(g) {}

  // For all points before any is looked up: the places pass through memory, from vectors to addresses.
  void find(Index end, const T* z, GridPlaces<T, d>& places) const {
    for (Index p = 0; p < end; p += S::lanes) {
      Integers at = {};
      SYMFLOW_UNROLL
      for (int a = 0; a < d; ++a) {
        const Cell<S> cell = find_cell<S>(fields.axes[a], S::load(z + a * grid_tile + p));
        S::store(places.fraction[a] + p, cell.fraction);
        at += cell.node * typename S::Integer(a + 1 < d ? layout.stride[a] : c);
      }
      __builtin_memcpy(places.at + p, &at, sizeof at);
    }
  }

  // From the first node of an edge: the place of a corner relative to that of its cell.
  SYMFLOW_HD Index offset(int corner) const {
    Index sum = 0;
    for (int a = 0; a + 1 < d; ++a) sum += (corner >> a & 1) * layout.stride[a];
    return sum;
  }

  template <bool with_slopes>
  SYMFLOW_HD Multilinear<S, d> vectors(const T* table, const GridPlaces<T, d>& places, Index p) const {
    Value fraction[d];
    for (int a = 0; a < d; ++a) fraction[a] = S::load(places.fraction[a] + p);
    return interpolate<S, d, with_slopes>(fraction,
                                          [&](int corner, Value(&low)[d], Value(&high)[d]) SYMFLOW_INLINE_LAMBDA {
                                            const T* from = table + offset(corner);
                                            Value ends[edge_pieces][piece<T>];
                                            SYMFLOW_UNROLL
                                            for (int i = 0; i < edge_pieces; ++i)
                                              gather<S>(from + i * piece<T>, places.at + p, ends[i]);
                                            SYMFLOW_UNROLL
                                            for (int j = 0; j < d; ++j) {
                                              low[j] = ends[j / piece<T>][j % piece<T>];
                                              high[j] = ends[(c + j) / piece<T>][(c + j) % piece<T>];
                                            }
                                          });
  }

  // velocity = V(z) for the columns z.
  void evaluate(const T* table, Index end, const T* z, T* velocity) const {
    GridPlaces<T, d> places;
    find(end, z, places);
    for (Index p = 0; p < end; p += S::lanes) {
      const auto v = vectors<false>(table, places, p);
      for (int j = 0; j < d; ++j) S::store(velocity + j * grid_tile + p, v.value[j]);
    }
  }

  // The same, and what the adjoint needs.
  void evaluate(const T* table, Index end, const T* z, GridStage<T, d>& stage) const {
    find(end, z, stage.places);
    for (Index p = 0; p < end; p += S::lanes) {
      const auto v = vectors<true>(table, stage.places, p);
      for (int a = 0; a < d; ++a) {
        const auto rate = S::set(fields.axes[a].rate);
        for (int j = 0; j < d; ++j) S::store(stage.slope[a][j] + p, rate * v.slope[a][j]);
      }
      for (int j = 0; j < d; ++j) S::store(stage.velocity[j] + p, v.value[j]);
    }
  }

  // From the gradient of the velocities to that of their points.
  void evaluate_backward(const GridStage<T, d>& stage, Index end, const T* grad_velocity, T* grad) const {
    for (Index p = 0; p < end; p += S::lanes) {
      for (int a = 0; a < d; ++a) {
        auto sum = S::set(0);
        for (int j = 0; j < d; ++j) {
          sum = S::fma(S::load(stage.slope[a][j] + p), S::load(grad_velocity + j * grid_tile + p), sum);
        }
        S::store(grad + a * grid_tile + p, sum);
      }
    }
  }

  // Adds the gradient of the velocities of the first `count` points to that of the table.
  void add_to_edges(const GridStage<T, d>& stage, Index count, const T* grad_velocity, T* grad_edges) const {
    for (Index p = 0; p < count; p += S::lanes) {
      const int lanes = int(count - p < S::lanes ? count - p : S::lanes);
      Value fraction[d], vector[d];
      for (int a = 0; a < d; ++a) {
        fraction[a] = S::load(stage.places.fraction[a] + p);
        vector[a] = S::load(grad_velocity + a * grid_tile + p);
      }
      typename S::Integer at[S::lanes];
      for (int lane = 0; lane < S::lanes; ++lane) at[lane] = 2 * stage.places.at[p + lane];
      share_out<S, d>(fraction, vector, [&](int corner, Value(&low)[d], Value(&high)[d]) SYMFLOW_INLINE_LAMBDA {
        Value ends[edge_pieces][piece<T>] = {};
        for (int j = 0; j < d; ++j) {
          ends[j / piece<T>][j % piece<T>] = low[j];
          ends[(c + j) / piece<T>][(c + j) % piece<T>] = high[j];
        }
        T* to = grad_edges + 2 * offset(corner);
        for (int i = 0; i < edge_pieces; ++i) scatter_add<S>(to + i * piece<T>, at, lanes, ends[i]);
      });
    }
  }
};

}  // namespace SYMFLOW_ISA
}  // namespace symflow
