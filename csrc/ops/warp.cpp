// symflow::warp and its derivatives on the CPU: from tensors to the pointers of cpu/warp_cpu.h.
#include "../core/warp.h"

#include <torch/csrc/stable/library.h>

#include <optional>
#include <tuple>
#include <vector>

#include "../cpu/warp_cpu.h"
#include "glue.h"

namespace symflow {
namespace {

using MaybeTensor = std::optional<Tensor>;

// The shapes of one call, from images [B, C, H, W] and grid [S, G, H', W', 2], after all checks.
struct WarpShapes {
  std::vector<std::int64_t> images, grid, result;
};

WarpShapes shapes(const char* op, const Tensor& images, const Tensor& grid, std::int64_t padding) {
  STD_TORCH_CHECK(images.dim() == 4, op, ": `images` must have shape [B, C, H, W]");
  STD_TORCH_CHECK(grid.dim() == 5 && grid.size(4) == 2, op, ": `grid` must have shape [1 or B, G, H', W', 2]");
  STD_TORCH_CHECK(padding >= 0 && padding <= 2, op, ": `padding` must be 0, 1 or 2, got ", padding);
  const std::int64_t B = images.size(0), C = images.size(1), H = images.size(2), W = images.size(3);
  const std::int64_t S = grid.size(0), G = grid.size(1);
  STD_TORCH_CHECK(S == 1 || S == B, op, ": `grid` must have one set for all images or one for each of ", B, ", got ",
                  S);
  STD_TORCH_CHECK(
      H >= 1 && W >= 1 && H <= longest_side && W <= longest_side && (H + 3) * (W + 1) < (std::int64_t(1) << 31), op,
      ": images must have sides of 1 to ", longest_side, " and fewer than 2^31 pixels");
  const WarpShapes all = {{B, C, H, W}, {S, G, grid.size(2), grid.size(3), 2}, {B, G, C, grid.size(2), grid.size(3)}};
  check_tensor(op, "images", images, images.scalar_type(), all.images);
  check_tensor(op, "grid", grid, images.scalar_type(), all.grid);
  return all;
}

template <class T>
WarpArguments<T> arguments(const WarpShapes& all, const Tensor& grid, const T* velocity, std::int64_t padding) {
  WarpArguments<T> a{};
  a.images = all.images[0];
  a.channels = all.images[1];
  a.grids = all.grid[1];
  a.points = all.grid[2] * all.grid[3];
  a.sets = all.grid[0];
  a.height = std::int32_t(all.images[2]);
  a.width = std::int32_t(all.images[3]);
  a.padding = Padding(padding);
  a.grid = read<T>(grid);
  a.velocity = velocity;
  return a;
}

// The pointer to an argument that may be missing.
template <class T>
const T* read_if_there(const char* op, const char* name, const MaybeTensor& tensor, const Tensor& like,
                       const std::vector<std::int64_t>& shape) {
  if (!tensor) return nullptr;
  check_tensor(op, name, *tensor, like.scalar_type(), shape);
  return read<T>(*tensor);
}

Tensor warp(const Tensor& images, const Tensor& grid, std::int64_t padding) {
  const char* op = "symflow::warp";
  return for_type(op, "images", images, [&](auto zero) {
    using T = decltype(zero);
    const WarpShapes all = shapes(op, images, grid, padding);
    const Tensor out = torch::stable::new_empty(images, all.result);
    warp_sample<T>(arguments<T>(all, grid, nullptr, padding), host_threads(), read<T>(images), nullptr, write<T>(out));
    return out;
  });
}

Tensor warp_jvp(const Tensor& images, const Tensor& grid, const MaybeTensor& images_dot, const MaybeTensor& grid_dot,
                std::int64_t padding) {
  const char* op = "symflow::warp_jvp";
  return for_type(op, "images", images, [&](auto zero) {
    using T = decltype(zero);
    const WarpShapes all = shapes(op, images, grid, padding);
    const T* p = read_if_there<T>(op, "images_dot", images_dot, images, all.images);
    const T* velocity = read_if_there<T>(op, "grid_dot", grid_dot, images, all.grid);
    STD_TORCH_CHECK(images_dot || grid_dot, op, ": `images_dot` and `grid_dot` must not both be missing");
    const Tensor out = torch::stable::new_empty(images, all.result);
    warp_sample<T>(arguments<T>(all, grid, velocity, padding), host_threads(), p, grid_dot ? read<T>(images) : nullptr,
                   write<T>(out));
    return out;
  });
}

// A gradient that is not wanted is an empty tensor.
Tensor new_gradient(const Tensor& like, bool wanted) {
  return wanted ? torch::stable::empty_like(like) : torch::stable::new_empty(like, {0});
}

std::tuple<Tensor, Tensor> warp_backward(const Tensor& grad, const Tensor& images, const Tensor& grid,
                                         std::int64_t padding, bool image_gradient, bool grid_gradient) {
  const char* op = "symflow::warp_backward";
  return for_type(op, "images", images, [&](auto zero) {
    using T = decltype(zero);
    const WarpShapes all = shapes(op, images, grid, padding);
    check_tensor(op, "grad", grad, images.scalar_type(), all.result);
    const WarpArguments<T> a = arguments<T>(all, grid, nullptr, padding);
    const Tensor grad_images = new_gradient(images, image_gradient), grad_grid = new_gradient(grid, grid_gradient);
    if (image_gradient) warp_image_gradient<T>(a, host_threads(), read<T>(grad), write<T>(grad_images));
    if (grid_gradient) {
      warp_grid_gradient<T>(a, host_threads(), read<T>(grad), read<T>(images), nullptr, write<T>(grad_grid));
    }
    return std::make_tuple(grad_images, grad_grid);
  });
}

std::tuple<Tensor, Tensor> warp_jvp_backward(const Tensor& grad, const Tensor& images, const Tensor& grid,
                                             const MaybeTensor& images_dot, const MaybeTensor& grid_dot,
                                             std::int64_t padding, bool image_gradient, bool grid_gradient) {
  const char* op = "symflow::warp_jvp_backward";
  return for_type(op, "images", images, [&](auto zero) {
    using T = decltype(zero);
    const WarpShapes all = shapes(op, images, grid, padding);
    check_tensor(op, "grad", grad, images.scalar_type(), all.result);
    const T* p = read_if_there<T>(op, "images_dot", images_dot, images, all.images);
    const T* velocity = read_if_there<T>(op, "grid_dot", grid_dot, images, all.grid);
    STD_TORCH_CHECK(images_dot || grid_dot, op, ": `images_dot` and `grid_dot` must not both be missing");
    const WarpArguments<T> a = arguments<T>(all, grid, velocity, padding);
    Tensor grad_images = new_gradient(images, image_gradient);
    const Tensor grad_grid = new_gradient(grid, grid_gradient);
    if (image_gradient && velocity != nullptr) {
      warp_image_gradient<T>(a, host_threads(), read<T>(grad), write<T>(grad_images));
    } else {
      torch::stable::zero_(grad_images);
    }
    if (grid_gradient) {
      warp_grid_gradient<T>(a, host_threads(), read<T>(grad), p, grid_dot ? read<T>(images) : nullptr,
                            write<T>(grad_grid));
    }
    return std::make_tuple(grad_images, grad_grid);
  });
}

}  // namespace
}  // namespace symflow

STABLE_TORCH_LIBRARY_IMPL(symflow, CPU, m) {
  m.impl("warp", TORCH_BOX(&symflow::warp));
  m.impl("warp_backward", TORCH_BOX(&symflow::warp_backward));
  m.impl("warp_jvp", TORCH_BOX(&symflow::warp_jvp));
  m.impl("warp_jvp_backward", TORCH_BOX(&symflow::warp_jvp_backward));
}
