// symflow::warp and its derivatives, from tensors to pointers, for both processors.
//
// A `Processor` offers sample<T>(a, p, q, out), grid_gradient<T>(a, grad, p, q, grad_grid) and
// image_gradient<T>(a, grad, grad_images) of core/warp_arguments.h, and is made from the operator's name and a tensor.
#pragma once

#include <torch/csrc/stable/library.h>

#include <optional>
#include <tuple>
#include <vector>

#include "../core/warp_arguments.h"
#include "glue.h"

namespace symflow {

using MaybeTensor = std::optional<Tensor>;

// The shapes of one call, from images [B, C, H, W] and grid [S, G, H', W', 2], after all checks.
struct WarpShapes {
  std::vector<std::int64_t> images, grid, result;

  WarpShapes(const char* op, const Tensor& images_tensor, const Tensor& grid_tensor, std::int64_t padding) {
    STD_TORCH_CHECK(images_tensor.dim() == 4, op, ": `images` must have shape [B, C, H, W]");
    STD_TORCH_CHECK(grid_tensor.dim() == 5 && grid_tensor.size(4) == 2, op,
                    ": `grid` must have shape [1 or B, G, H', W', 2]");
    STD_TORCH_CHECK(padding >= 0 && padding <= 2, op, ": `padding` must be 0, 1 or 2, got ", padding);
    const std::int64_t B = images_tensor.size(0), C = images_tensor.size(1);
    const std::int64_t H = images_tensor.size(2), W = images_tensor.size(3);
    const std::int64_t S = grid_tensor.size(0), G = grid_tensor.size(1);
    STD_TORCH_CHECK(S == 1 || S == B, op, ": `grid` must have one set for all images or one for each of ", B, ", got ",
                    S);
    STD_TORCH_CHECK(
        H >= 1 && W >= 1 && H <= longest_side && W <= longest_side && (H + 3) * (W + 1) < (std::int64_t(1) << 31), op,
        ": images must have sides of 1 to ", longest_side, " and fewer than 2^31 pixels, got ", H, " x ", W);
    images = {B, C, H, W};
    grid = {S, G, grid_tensor.size(2), grid_tensor.size(3), 2};
    result = {B, G, C, grid[2], grid[3]};
    check_tensor(op, "images", images_tensor, images_tensor.scalar_type(), images, images_tensor.device());
    check_tensor(op, "grid", grid_tensor, images_tensor.scalar_type(), grid, images_tensor.device());
  }
};

// One call: its arguments, all checked, as pointers.
template <class T>
struct WarpCall {
  const char* op;
  const Tensor& images;
  const Tensor& grid;
  WarpShapes shapes;
  WarpArguments<T> a{};

  WarpCall(const char* name, const Tensor& images_tensor, const Tensor& grid_tensor, std::int64_t padding)
      : op(name), images(images_tensor), grid(grid_tensor), shapes(name, images_tensor, grid_tensor, padding) {
    a.images = shapes.images[0];
    a.channels = shapes.images[1];
    a.height = std::int32_t(shapes.images[2]);
    a.width = std::int32_t(shapes.images[3]);
    a.sets = shapes.grid[0];
    a.grids = shapes.grid[1];
    a.points = shapes.grid[2] * shapes.grid[3];
    a.padding = Padding(padding);
    a.grid = read<T>(grid);
  }

  const T* checked(const char* name, const Tensor& tensor, const std::vector<std::int64_t>& shape) const {
    check_tensor(op, name, tensor, images.scalar_type(), shape, images.device());
    return read<T>(tensor);
  }

  // Either may be missing, not both; gives the pointer to the first, and the second becomes the velocity.
  const T* tangents(const MaybeTensor& images_dot, const MaybeTensor& grid_dot) {
    STD_TORCH_CHECK(images_dot || grid_dot, op, ": `images_dot` and `grid_dot` must not both be missing");
    if (grid_dot) a.velocity = checked("grid_dot", *grid_dot, shapes.grid);
    return images_dot ? checked("images_dot", *images_dot, shapes.images) : nullptr;
  }

  // The images, where they move.
  const T* moving() const { return a.velocity == nullptr ? nullptr : read<T>(images); }
};

// A gradient that is not wanted is an empty tensor.
inline Tensor new_gradient(const Tensor& like, bool wanted) {
  return wanted ? torch::stable::empty_like(like) : torch::stable::new_empty(like, {0});
}

template <class Processor>
Tensor warp(const Tensor& images, const Tensor& grid, std::int64_t padding) {
  const char* op = "symflow::warp";
  return for_type(op, "images", images, [&](auto zero) {
    using T = decltype(zero);
    const WarpCall<T> call(op, images, grid, padding);
    const Tensor out = torch::stable::new_empty(images, call.shapes.result);
    Processor(op, images).template sample<T>(call.a, read<T>(images), nullptr, write<T>(out));
    return out;
  });
}

template <class Processor>
Tensor warp_jvp(const Tensor& images, const Tensor& grid, const MaybeTensor& images_dot, const MaybeTensor& grid_dot,
                std::int64_t padding) {
  const char* op = "symflow::warp_jvp";
  return for_type(op, "images", images, [&](auto zero) {
    using T = decltype(zero);
    WarpCall<T> call(op, images, grid, padding);
    const T* p = call.tangents(images_dot, grid_dot);
    const Tensor out = torch::stable::new_empty(images, call.shapes.result);
    Processor(op, images).template sample<T>(call.a, p, call.moving(), write<T>(out));
    return out;
  });
}

template <class Processor>
std::tuple<Tensor, Tensor> warp_backward(const Tensor& grad, const Tensor& images, const Tensor& grid,
                                         std::int64_t padding, bool image_gradient, bool grid_gradient) {
  const char* op = "symflow::warp_backward";
  return for_type(op, "images", images, [&](auto zero) {
    using T = decltype(zero);
    const WarpCall<T> call(op, images, grid, padding);
    const T* g = call.checked("grad", grad, call.shapes.result);
    Processor processor(op, images);
    const Tensor grad_images = new_gradient(images, image_gradient), grad_grid = new_gradient(grid, grid_gradient);
    if (image_gradient) processor.template image_gradient<T>(call.a, g, write<T>(grad_images));
    if (grid_gradient) {
      processor.template grid_gradient<T>(call.a, g, read<T>(images), nullptr, write<T>(grad_grid));
    }
    return std::make_tuple(grad_images, grad_grid);
  });
}

template <class Processor>
std::tuple<Tensor, Tensor> warp_jvp_backward(const Tensor& grad, const Tensor& images, const Tensor& grid,
                                             const MaybeTensor& images_dot, const MaybeTensor& grid_dot,
                                             std::int64_t padding, bool image_gradient, bool grid_gradient) {
  const char* op = "symflow::warp_jvp_backward";
  return for_type(op, "images", images, [&](auto zero) {
    using T = decltype(zero);
    WarpCall<T> call(op, images, grid, padding);
    const T* g = call.checked("grad", grad, call.shapes.result);
    const T* p = call.tangents(images_dot, grid_dot);
    Processor processor(op, images);
    Tensor grad_images = new_gradient(images, image_gradient);
    const Tensor grad_grid = new_gradient(grid, grid_gradient);
    if (call.a.velocity == nullptr) {
      torch::stable::zero_(grad_images);
    } else if (image_gradient) {
      processor.template image_gradient<T>(call.a, g, write<T>(grad_images));
    }
    if (grid_gradient) processor.template grid_gradient<T>(call.a, g, p, call.moving(), write<T>(grad_grid));
    return std::make_tuple(grad_images, grad_grid);
  });
}

template <class Processor, class Library>
void implement_warp(Library& m) {
  m.impl("warp", TORCH_BOX(&warp<Processor>));
  m.impl("warp_backward", TORCH_BOX(&warp_backward<Processor>));
  m.impl("warp_jvp", TORCH_BOX(&warp_jvp<Processor>));
  m.impl("warp_jvp_backward", TORCH_BOX(&warp_jvp_backward<Processor>));
}

}  // namespace symflow
