// The seam of warp on the CPU: raw pointers and sizes, no torch. The sums are those of core/warp_arguments.h.
//
// warp_cpu.cpp cuts them into tasks; the kernels of warp_tile.h, compiled once per instruction set, do the tasks.
#pragma once

#include <cstdint>
#include <utility>

#include "../core/warp_arguments.h"
#include "isa.h"
#include "parallel.h"

namespace symflow {

// A call may be about a part of a larger result [B, grids, C, points]: some neighbouring grids of it, or points of one
// grid. The pointer to the result then stands at the part's first number.
struct WarpWhole {
  std::int64_t grids, points;
};

// p or q may be null. The result is the whole unless one is given.
template <class T>
void warp_sample(const WarpArguments<T>&, const Parallel&, const T* p, const T* q, T* out,
                 const WarpWhole* whole = nullptr);

// p or q may be null; grad_grid [S, G, P, 2].
template <class T>
void warp_grid_gradient(const WarpArguments<T>&, const Parallel&, const T* grad, const T* p, const T* q, T* grad_grid,
                        const WarpWhole* whole = nullptr);

// A'^T g where there is a velocity, else A^T g.
template <class T>
void warp_image_gradient(const WarpArguments<T>&, const Parallel&, const T* grad, T* grad_images);

// ---- between warp_cpu.cpp and the kernels -------------------------------------------------------------------------

// The planes that share a set of grids (B C or C of them) are cut into blocks of `lanes` planes, packed as
// [cell][lane]: then a corner of a point is one vector. The cells are the pixels row by row, framed by zeros, which
// stand for all pixels outside: one cell between two rows serves both, one row above and two below the image let every
// point find its four corners at cell, cell + 1, cell + stride and cell + stride + 1. Lanes without a plane hold zeros.
// A block of one lane is a plane as it is: there the points lie side by side in a register.
struct WarpFrame {
  static constexpr std::int64_t slack = 2;  // numbers that are read beyond the corners, to be dropped

  std::int64_t stride, cells;

  WarpFrame() = default;
  WarpFrame(std::int32_t height, std::int32_t width)
      : stride(std::int64_t(width) + 1), cells((std::int64_t(height) + 3) * stride + 1 + slack) {}
  std::int64_t row(std::int64_t r) const { return (r + 1) * stride + 1; }  // where it begins
};

// Blocks are packed and used in waves that fill a cache, so that packing needs little memory. A unit is one or more
// blocks of one set; a task samples a unit at a chunk of points, whose corners are computed once for all its planes.
template <class T>
struct WarpProblem : WarpArguments<T> {
  WarpWhole whole;
  WarpFrame frame;
  std::int64_t lanes;
  std::int64_t planes;       // that share a set
  std::int64_t blocks;       // of planes, in a set
  std::int64_t unit_blocks;  // in a unit
  std::int64_t units;        // in a set
  std::int64_t chunks;       // of points, in a grid

  std::int64_t first_block;  // of the wave, counted through all sets
  const T* p;                // packed blocks of the wave [blocks, cells, lanes], or null
  const T* q;
  const T* grad;
  T* out;
  T* grad_grid;  // [units, S, G, P, 2]
  T* grad_images;

  // Where plane `plane` of set `set` begins in [B, C, H, W] and, for one of the grids, in the result.
  std::int64_t image_row(std::int64_t set, std::int64_t plane) const {
    return (set * planes + plane) * this->height * this->width;
  }
  std::int64_t result_row(std::int64_t set, std::int64_t plane, std::int64_t grid) const {
    const std::int64_t all = set * planes + plane, image = all / this->channels, channel = all % this->channels;
    return ((image * whole.grids + grid) * this->channels + channel) * whole.points;
  }
};

constexpr std::int64_t warp_chunk = 128;  // points

template <class T>
struct WarpKernels {
  std::int64_t lanes;         // of a register
  std::int64_t narrow_lanes;  // where planes are few, of all but `grid_gradient`; 1 is possible in all
  // Rows of a block (counted through all sets) of images to their place in the wave.
  void (*pack)(const WarpProblem<T>&, std::int64_t block, std::int64_t first_row, std::int64_t last_row,
               const T* images, T* packed);
  // Task ((set units + unit) G + grid) chunks + chunk.
  void (*sample)(const WarpProblem<T>&, std::int64_t task);
  void (*grid_gradient)(const WarpProblem<T>&, std::int64_t task);
  // A block, counted through all sets; scratch of cells lanes numbers.
  void (*image_gradient)(const WarpProblem<T>&, std::int64_t block, T* scratch);
};

SYMFLOW_PER_ISA(extern const WarpKernels<float> warp_float; extern const WarpKernels<double> warp_double;)

}  // namespace symflow
