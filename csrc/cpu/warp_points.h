// The points of a grid as the tasks of warp see them: their cells, and where in them they lie, for one instruction set
// (see simd.h for how it is included).
#pragma once

#include <cstdint>

#include "../core/warp.h"
#include "blocks.h"
#include "pieces.h"
#include "vectors.h"
#include "warp_cpu.h"

namespace symflow {
namespace SYMFLOW_ISA {

// What the kernels know of a chunk of points, computed once for all planes. Behind the last point, up to a whole
// register, stand points outside the images.
template <class T>
struct Points {
  typename Simd<T>::Integer cell[warp_chunk];  // of v00
  T tx[warp_chunk], ty[warp_chunk];
  T slope_x[warp_chunk], slope_y[warp_chunk];  // pixels per unit of the grid
  T x[warp_chunk], y[warp_chunk];              // the velocity in pixels
  Index count;
};

// One axis: from the coordinates in t to the pixels before them and, in t, the shares of the next ones.
template <Padding padding, class T>
void locate_axis(Index count, std::int32_t size, std::int32_t* __restrict__ index, T* __restrict__ t,
                 T* __restrict__ slope) {
  // Two loops, which the compiler turns into vectors; in a single one it finds branches.
  for (Index i = 0; i < count; ++i) {
    const Position<T> position = locate<padding>(t[i], size);
    t[i] = position.u;
    slope[i] = position.slope;
  }
  for (Index i = 0; i < count; ++i) {
    const Place<T> place = place_of(t[i], size);
    index[i] = place.index;
    t[i] = place.t;
  }
}

// A cell with no pixel at its corners.
template <class T>
std::int32_t outside_of(const WarpProblem<T>& f) {
  return std::int32_t(f.frame.row(f.height));
}

template <Padding padding, class T>
void locate_points(const WarpProblem<T>& f, const T* grid, Points<T>& points) {
  std::int32_t column[warp_chunk], row[warp_chunk];
  // Apart first, both axes at once: a loop that reads every other number ends in a part without vectors.
  for (Index i = 0; i < points.count; ++i) {
    points.tx[i] = grid[2 * i];
    points.ty[i] = grid[2 * i + 1];
  }
  locate_axis<padding>(points.count, f.width, column, points.tx, points.slope_x);
  locate_axis<padding>(points.count, f.height, row, points.ty, points.slope_y);
  const std::int32_t height = f.height, width = f.width, stride = std::int32_t(f.frame.stride), outside = outside_of(f);
  for (Index i = 0; i < points.count; ++i) {
    // Unsigned, because far outside the product may not fit.
    const std::uint32_t cell = std::uint32_t(row[i] + 1) * std::uint32_t(stride) + std::uint32_t(column[i] + 1);
    const bool touches = inside(row[i] + 1, height + 1) && inside(column[i] + 1, width + 1);
    points.cell[i] = touches ? typename Simd<T>::Integer(cell) : outside;
  }
}

// Chunk `chunk` of grid `grid` (of all sets).
template <class T>
void load_points(const WarpProblem<T>& f, Index grid, Index chunk, bool velocity, Points<T>& points) {
  const Index first = grid * f.points + chunk * warp_chunk;
  points.count = f.points - chunk * warp_chunk < warp_chunk ? f.points - chunk * warp_chunk : warp_chunk;
  const T* at = f.grid + 2 * first;
  switch (f.padding) {
    case Padding::zeros:
      locate_points<Padding::zeros>(f, at, points);
      break;
    case Padding::border:
      locate_points<Padding::border>(f, at, points);
      break;
    case Padding::reflection:
      locate_points<Padding::reflection>(f, at, points);
      break;
  }
  for (Index i = 0; velocity && i < points.count; ++i) {
    points.x[i] = points.slope_x[i] * f.velocity[2 * (first + i)];
    points.y[i] = points.slope_y[i] * f.velocity[2 * (first + i) + 1];
  }
  for (Index i = points.count; i < round_up(points.count, Simd<T>::lanes); ++i) {
    points.cell[i] = outside_of(f);
    points.tx[i] = points.ty[i] = points.x[i] = points.y[i] = 0;
  }
}

// The cell of a point in all planes of a packed block.
template <int lanes, class T>
SYMFLOW_HD Bilinear<VectorOf<T, lanes>> cell_of(const T* block, Index stride, const Points<T>& points, Index i) {
  using V = VectorOf<T, lanes>;
  const T* upper = block + Index(points.cell[i]) * lanes;
  const T* lower = upper + stride * lanes;
  return bilinear<V>(load_vector<V>(upper), load_vector<V>(upper + lanes), load_vector<V>(lower),
                     load_vector<V>(lower + lanes), points.tx[i], points.ty[i]);
}

// The cells of as many points as a register holds, in one plane.
template <class T>
SYMFLOW_HD Bilinear<typename Simd<T>::Value> cells_of(const T* plane, Index stride, const Points<T>& points, Index i) {
  using S = Simd<T>;
  typename S::Value upper[piece<T>], lower[piece<T>];
  const typename S::Integer *at = points.cell + i, *again = at;
  asm("" : "+r"(again));  // read twice: there are more places than registers to keep them in
  gather<S>(plane, at, upper);
  gather<S>(plane + stride, again, lower);
  return bilinear(upper[0], upper[1], lower[0], lower[1], S::load(points.tx + i), S::load(points.ty + i));
}

}  // namespace SYMFLOW_ISA
}  // namespace symflow
