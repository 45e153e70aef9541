// Bilinear sampling on the pixel plane: where a coordinate lies, and the value and derivatives of the cell around it.
//
// A coordinate c in [-1, 1] along an axis of `size` pixels stands at u = (c + 1) (size - 1) / 2 pixels, so -1 and 1 are
// the centres of the outermost pixels. In the cell of the pixels i = floor(u) and i + 1 the image is
//
//   f(tx, ty) = v00 (1 - tx) (1 - ty) + v01 tx (1 - ty) + v10 (1 - tx) ty + v11 tx ty,   v[row][column], t = u - i.
//
// Its only second derivative is the mixed one. f has kinks at the pixel lines: there, as in torch, the derivative is
// that of the cell to the right, and zero where border or reflection turns the coordinate back (at and, for border,
// beyond the outermost pixels).
#pragma once

#include <cmath>
#include <cstdint>

#include "hd.h"
#include "warp_arguments.h"

namespace symflow {

// The position of a coordinate on one axis, after padding.
template <class T>
struct Position {
  T u;      // in pixels
  T slope;  // du/dc
};

// 1 <= size <= longest_side. With a single pixel every coordinate is at it, with slope 0. An infinite coordinate is
// outside (zeros), at the edge (border) or NaN (reflection); NaN gives NaN. Written so that compilers choose without
// branches where they can, for many coordinates at a time.
template <Padding padding, class T>
SYMFLOW_HD Position<T> locate(T coordinate, std::int32_t size) {
  const T last = T(size - 1);
  T slope = last * T(0.5);
  T u = (coordinate + T(1)) * slope;
  if (size == 1) u = coordinate == coordinate ? T(0) : coordinate;
  if constexpr (padding == Padding::zeros) {
    // From these ends on all neighbours are outside, and the index fits an integer.
    u = u < T(-2) ? T(-2) : u;
    u = u > T(size) ? T(size) : u;
  } else {
    if constexpr (padding == Padding::reflection) {
      if (u < 0 || u > last) {
        if (u < 0) slope = -slope;
        u = std::fmod(std::fabs(u), 2 * last);  // exact, as is what follows
        if (u > last) {
          u = 2 * last - u;
          slope = -slope;
        }
      }
    }
    slope = u <= 0 ? T(0) : slope;
    slope = u >= last ? T(0) : slope;
    u = u < 0 ? T(0) : u;
    u = u > last ? last : u;
  }
  return {u, slope + T(0) * u};  // u is finite or NaN
}

// The cell that a position is in.
template <class T>
struct Place {
  std::int32_t index;  // of the pixel at or before it; this or the next one may be outside, see `inside`
  T t;                 // the share of the next pixel, in [0, 1)
};

// NaN is outside, with NaN for t: every number computed with it is NaN, and no memory is misread.
template <class T>
SYMFLOW_HD Place<T> place_of(T u, std::int32_t size) {
  const T end = T(size);
  const T finite = u <= end ? u : end;
  const std::int32_t truncated = std::int32_t(finite);
  const std::int32_t index = truncated - std::int32_t(T(truncated) > finite);
  return {index, u - T(index)};
}

SYMFLOW_HD bool inside(std::int32_t index, std::int32_t size) { return std::uint32_t(index) < std::uint32_t(size); }

// f and its derivatives in pixels. Value is a number, or a vector of numbers of different planes or points; tx and ty
// are numbers, or a vector where points differ.
template <class Value>
struct Bilinear {
  Value value, dx, dy, dxy;
};

template <class Value, class T>
SYMFLOW_HD Bilinear<Value> bilinear(const Value& v00, const Value& v01, const Value& v10, const Value& v11, T tx,
                                    T ty) {
  const Value top = v01 - v00, bottom = v11 - v10, mixed = bottom - top;
  const Value upper = v00 + tx * top, lower = v10 + tx * bottom, dy = lower - upper;
  return {upper + ty * dy, top + ty * mixed, dy, mixed};
}

// The weights of the four pixels, in the order v00 v01 v10 v11.
template <class T>
struct Weights {
  T w[4];
};

template <class T>
SYMFLOW_HD Weights<T> bilinear_weights(T tx, T ty) {
  const T left = T(1) - tx, upper = T(1) - ty;
  return {{left * upper, tx * upper, left * ty, tx * ty}};
}

// Their derivative when (tx, ty) moves with velocity (x, y), in pixels.
template <class T>
SYMFLOW_HD Weights<T> bilinear_weights_dot(T tx, T ty, T x, T y) {
  const T left = T(1) - tx, upper = T(1) - ty;
  return {{-(x * upper) - y * left, x * upper - y * tx, y * left - x * ty, x * ty + y * tx}};
}

}  // namespace symflow
