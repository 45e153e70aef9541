// What a caller gives to the kernels of warp, on either processor.
//
// Everything up to the second derivatives is made of three sums. With A the sampling matrix of the grid, A' its
// derivative along a velocity of the grid, and g a gradient of the result:
//
//   sample           A p + A' q
//   grid_gradient    the derivative of <g, A p + A' q> in the grid
//   image_gradient   A^T g, or A'^T g
#pragma once

#include <cstdint>

namespace symflow {

enum class Padding { zeros, border, reflection };

// Indices of pixels are 32 bits, and float32 counts them exactly.
constexpr std::int32_t longest_side = 1 << 24;

// All arrays are contiguous, row-major; p, q and gradients of images are [B, C, H, W], results [B, G, C, P].
template <class T>
struct WarpArguments {
  std::int64_t images, channels, grids, points;  // B C G P, where P = H' W'
  std::int64_t sets;                             // S: the grids are one set for all images (1) or one per image (B)
  std::int32_t height, width;                    // H W
  Padding padding;
  const T* grid;      // [S, G, P, 2]
  const T* velocity;  // the same; read only for q, and where the gradient of the images is to take A'
};

}  // namespace symflow
