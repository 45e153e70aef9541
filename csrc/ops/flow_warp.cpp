// symflow::flow_warp, symflow::grid_flow_warp and their gradients on the CPU: from tensors to the pointers of
// cpu/flow_warp_cpu.h.
#include <torch/csrc/stable/library.h>

#include <array>
#include <tuple>
#include <vector>

#include "../core/warp.h"
#include "../cpu/flow_warp_cpu.h"
#include "flow_arguments.h"
#include "grid_fields.h"

namespace symflow {
namespace {

// The images and the shape of the result, from images [B, C, H, W], points [H', W', 2] and weights [1 or B, G, K].
struct FlowWarpShapes {
  std::vector<std::int64_t> images, result;
  std::int64_t sets, rows;
};

FlowWarpShapes flow_warp_shapes(const char* op, const Tensor& images, const Tensor& points, const Tensor& weights,
                                std::int64_t padding) {
  STD_TORCH_CHECK(images.dim() == 4, op, ": `images` must have shape [B, C, H, W]");
  STD_TORCH_CHECK(points.dim() == 3 && points.size(2) == 2, op, ": `points` must have shape [H', W', 2]");
  STD_TORCH_CHECK(weights.dim() == 3, op, ": `weights` must have shape [1 or B, G, K]");
  STD_TORCH_CHECK(padding >= 0 && padding <= 2, op, ": `padding` must be 0, 1 or 2, got ", padding);
  const std::int64_t B = images.size(0), C = images.size(1), H = images.size(2), W = images.size(3);
  const std::int64_t S = weights.size(0), G = weights.size(1);
  STD_TORCH_CHECK(S == 1 || S == B, op, ": `weights` must have one set for all images or one for each of ", B, ", got ",
                  S);
  STD_TORCH_CHECK(
      H >= 1 && W >= 1 && H <= longest_side && W <= longest_side && (H + 3) * (W + 1) < (std::int64_t(1) << 31), op,
      ": images must have sides of 1 to ", longest_side, " and fewer than 2^31 pixels");
  const FlowWarpShapes all = {{B, C, H, W}, {B, G, C, points.size(0), points.size(1)}, S, S * G};
  check_tensor(op, "images", images, images.scalar_type(), all.images);
  check_tensor(op, "points", points, images.scalar_type(), {points.size(0), points.size(1), 2});
  return all;
}

template <class T>
WarpArguments<T> warp_arguments(const FlowWarpShapes& all, std::int64_t padding) {
  WarpArguments<T> a{};
  a.images = all.images[0];
  a.channels = all.images[1];
  a.grids = all.result[1];
  a.points = all.result[3] * all.result[4];
  a.sets = all.sets;
  a.height = std::int32_t(all.images[2]);
  a.width = std::int32_t(all.images[3]);
  a.padding = Padding(padding);
  return a;
}

// The rows of weights of all sets; the glue of the flows checks the rest.
Tensor rows_of(const Tensor& weights) { return torch::stable::flatten(weights, 0, 1); }

template <class T>
GridFlowArguments<T> grid_arguments(const char* op, const FlowWarpShapes& all, const Tensor& images,
                                    const Tensor& weights, const Tensor& values, const std::vector<double>& lower,
                                    const std::vector<double>& upper, const std::vector<double>& periods,
                                    std::int64_t steps) {
  STD_TORCH_CHECK(steps >= 1, op, ": `steps` must be at least 1, got ", steps);
  STD_TORCH_CHECK(values.scalar_type() == images.scalar_type() && values.dim() == 4, op,
                  ": `values` must have shape [K, n_1, n_2, 2] and the dtype of `images`");
  GridFlowArguments<T> a{};
  a.fields = grid_fields<T>(op, weights, values, lower, upper, periods);
  a.points = all.result[3] * all.result[4];
  a.steps = steps;
  return a;
}

// Room for the end points, which the gradient of the images needs.
Tensor room_for_ends(const Tensor& images, const FlowWarpShapes& all, bool image_gradient) {
  return torch::stable::new_empty(images, {image_gradient ? all.rows : 0, all.result[3] * all.result[4], 2});
}

Tensor flow_warp_op(const Tensor& images, const Tensor& points, const Tensor& weights, const Tensor& w0,
                    const Tensor& b0, const Tensor& w1, const Tensor& b1, const Tensor& wh, const Tensor& bh,
                    const Tensor& wo, const Tensor& bo, std::vector<double> periods, std::int64_t steps,
                    std::int64_t padding) {
  const char* op = "symflow::flow_warp";
  return for_type(op, "images", images, [&](auto zero) {
    using T = decltype(zero);
    const auto all = flow_warp_shapes(op, images, points, weights, padding);
    const auto warp = warp_arguments<T>(all, padding);
    const auto flow =
        network_arguments<T>(op, "points", warp.points, 2, all.rows, images.scalar_type(), rows_of(weights),
                             {w0, b0, w1, b1, wh, bh, wo, bo}, periods, steps, images.device());
    const Tensor out = torch::stable::new_empty(images, all.result);
    flow_warp<T>(warp, flow, host_threads(), read<T>(points), read<T>(images), write<T>(out));
    return out;
  });
}

Tensor grid_flow_warp_op(const Tensor& images, const Tensor& points, const Tensor& weights, const Tensor& values,
                         std::vector<double> lower, std::vector<double> upper, std::vector<double> periods,
                         std::int64_t steps, std::int64_t padding) {
  const char* op = "symflow::grid_flow_warp";
  return for_type(op, "images", images, [&](auto zero) {
    using T = decltype(zero);
    const auto all = flow_warp_shapes(op, images, points, weights, padding);
    const auto warp = warp_arguments<T>(all, padding);
    const auto flow = grid_arguments<T>(op, all, images, rows_of(weights), values, lower, upper, periods, steps);
    const Tensor out = torch::stable::new_empty(images, all.result);
    grid_flow_warp<T>(warp, flow, host_threads(), read<T>(points), read<T>(images), write<T>(out));
    return out;
  });
}

NetworkGradients flow_warp_backward_op(const Tensor& grad, const Tensor& images, const Tensor& points,
                                       const Tensor& weights, const Tensor& w0, const Tensor& b0, const Tensor& w1,
                                       const Tensor& b1, const Tensor& wh, const Tensor& bh, const Tensor& wo,
                                       const Tensor& bo, std::vector<double> periods, std::int64_t steps,
                                       std::int64_t padding, bool image_gradient, bool weight_gradients,
                                       bool parameter_gradients) {
  const char* op = "symflow::flow_warp_backward";
  return for_type(op, "images", images, [&](auto zero) {
    using T = decltype(zero);
    const auto all = flow_warp_shapes(op, images, points, weights, padding);
    check_tensor(op, "grad", grad, images.scalar_type(), all.result);
    const auto warp = warp_arguments<T>(all, padding);
    const std::array<Tensor, 8> parameters = {w0, b0, w1, b1, wh, bh, wo, bo};
    const auto flow = network_arguments<T>(op, "points", warp.points, 2, all.rows, images.scalar_type(),
                                           rows_of(weights), parameters, periods, steps, images.device());
    FlowGradients<T> gradients(images, weights, parameters);
    torch::stable::zero_(gradients.points);  // here the place of the images
    const Tensor ends = room_for_ends(images, all, image_gradient);
    const FlowWarpGradients<T> wanted = {
        write_if<T>(image_gradient, gradients.points), write_if<T>(image_gradient, ends),
        write_if<T>(weight_gradients, gradients.weights), parameter_gradients ? gradients.pointers : nullptr, nullptr};
    flow_warp_backward<T>(warp, flow, host_threads(), read<T>(points), read<T>(images), read<T>(grad), wanted);
    return gradients.tuple();
  });
}

std::tuple<Tensor, Tensor, Tensor> grid_flow_warp_backward_op(
    const Tensor& grad, const Tensor& images, const Tensor& points, const Tensor& weights, const Tensor& values,
    std::vector<double> lower, std::vector<double> upper, std::vector<double> periods, std::int64_t steps,
    std::int64_t padding, bool image_gradient, bool weight_gradients, bool value_gradients) {
  const char* op = "symflow::grid_flow_warp_backward";
  return for_type(op, "images", images, [&](auto zero) {
    using T = decltype(zero);
    const auto all = flow_warp_shapes(op, images, points, weights, padding);
    check_tensor(op, "grad", grad, images.scalar_type(), all.result);
    const auto warp = warp_arguments<T>(all, padding);
    const auto flow = grid_arguments<T>(op, all, images, rows_of(weights), values, lower, upper, periods, steps);
    const Tensor grad_images = zeros_like(images), grad_weights = zeros_like(weights), grad_values = zeros_like(values);
    const Tensor ends = room_for_ends(images, all, image_gradient);
    const FlowWarpGradients<T> wanted = {write_if<T>(image_gradient, grad_images), write_if<T>(image_gradient, ends),
                                         write_if<T>(weight_gradients, grad_weights), nullptr,
                                         write_if<T>(value_gradients, grad_values)};
    grid_flow_warp_backward<T>(warp, flow, host_threads(), read<T>(points), read<T>(images), read<T>(grad), wanted);
    return std::make_tuple(grad_images, grad_weights, grad_values);
  });
}

}  // namespace
}  // namespace symflow

STABLE_TORCH_LIBRARY_IMPL(symflow, CPU, m) {
  m.impl("flow_warp", TORCH_BOX(&symflow::flow_warp_op));
  m.impl("flow_warp_backward", TORCH_BOX(&symflow::flow_warp_backward_op));
  m.impl("grid_flow_warp", TORCH_BOX(&symflow::grid_flow_warp_op));
  m.impl("grid_flow_warp_backward", TORCH_BOX(&symflow::grid_flow_warp_backward_op));
}
