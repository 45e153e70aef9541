// symflow::jet_flow and symflow::jet_flow_backward, from tensors to pointers, for both processors.
//
// A `Processor` offers forward<T>(a, end, states) and backward<T>(a, states, gradients...) of core/jet_flow.h, and is
// made from the operator's name, a tensor, and the two weights whose transposes a GPU reads.
#pragma once

#include <torch/csrc/stable/library.h>

#include <array>
#include <tuple>
#include <vector>

#include "../core/jet_flow.h"
#include "flow_arguments.h"

namespace symflow {

// The algebra of a surface [C, B, N, d] or its gradient, from the triples (left, right, result) of their products.
inline JetAlgebra algebra_of(const char* op, const std::vector<std::int64_t>& triples, const Tensor& surface) {
  STD_TORCH_CHECK(surface.dim() == 4, op, ": `surface` must have shape [C, B, N, d]");
  const std::int64_t size = surface.size(0);
  const std::size_t count = triples.size() / 3;
  STD_TORCH_CHECK(triples.size() == 3 * count, op, ": `products` must be triples of monomials");
  STD_TORCH_CHECK(size >= 1 && size <= max_monomials && count <= std::size_t(max_products), op,
                  ": a truncation must have 1 to ", max_monomials, " monomials and at most ", max_products,
                  " products, got ", size, " and ", count);
  std::vector<Product> products(count);
  for (std::size_t n = 0; n < count; ++n) {
    for (std::size_t i = 0; i < 3; ++i) {
      const std::int64_t monomial = triples[3 * n + i];
      STD_TORCH_CHECK(monomial >= 0 && monomial < size, op, ": `products` must name monomials 0 to ", size - 1,
                      ", got ", monomial);
    }
    products[n] = {triples[3 * n], triples[3 * n + 1], triples[3 * n + 2]};
  }
  const JetAlgebra algebra = make_algebra(products.data(), int(count), int(size));
  STD_TORCH_CHECK(algebra.degree <= max_degree, op, ": a truncation must have degree ", max_degree,
                  " at most, got a higher one");
  return algebra;
}

// `surface` may be the gradient of the moved one: only its shape and type count here.
template <class T>
JetFlowArguments<T> jet_flow_arguments(const char* op, const Tensor& surface, const Tensor& weights,
                                       const std::array<Tensor, 8>& parameters, const std::vector<double>& periods,
                                       const JetAlgebra& algebra, std::int64_t steps) {
  const std::int64_t C = surface.size(0), B = surface.size(1), N = surface.size(2), d = surface.size(3);
  const ScalarType dtype = surface.scalar_type();
  const torch::stable::Device device = surface.device();
  JetFlowArguments<T> a{};
  static_cast<FlowArguments<T>&>(a) =
      network_arguments<T>(op, "surface", N, d, B, dtype, weights, parameters, periods, steps, device);
  check_tensor(op, "surface", surface, dtype, {C, B, N, d}, device);
  a.start = read<T>(surface);
  a.algebra = &algebra;
  return a;
}

template <class Processor>
std::tuple<Tensor, Tensor> jet_flow_op(const Tensor& surface, const Tensor& weights, const Tensor& w0, const Tensor& b0,
                                       const Tensor& w1, const Tensor& b1, const Tensor& wh, const Tensor& bh,
                                       const Tensor& wo, const Tensor& bo, std::vector<double> periods,
                                       std::vector<std::int64_t> products, std::int64_t steps, bool save_states) {
  const char* op = "symflow::jet_flow";
  return for_type(op, "surface", surface, [&](auto zero) {
    using T = decltype(zero);
    const JetAlgebra algebra = algebra_of(op, products, surface);
    const auto a =
        jet_flow_arguments<T>(op, surface, weights, {w0, b0, w1, b1, wh, bh, wo, bo}, periods, algebra, steps);
    Processor processor(op, surface, w1, wh);
    const Tensor end = torch::stable::empty_like(surface), states = new_states(surface, steps, save_states);
    processor.template forward<T>(a, write<T>(end), write_if<T>(save_states, states));
    return std::make_tuple(end, states);
  });
}

template <class Processor>
NetworkGradients jet_flow_backward_op(const Tensor& grad, const Tensor& states, const Tensor& weights, const Tensor& w0,
                                      const Tensor& b0, const Tensor& w1, const Tensor& b1, const Tensor& wh,
                                      const Tensor& bh, const Tensor& wo, const Tensor& bo, std::vector<double> periods,
                                      std::vector<std::int64_t> products, bool weight_gradients,
                                      bool parameter_gradients) {
  const char* op = "symflow::jet_flow_backward";
  return for_type(op, "grad", grad, [&](auto zero) {
    using T = decltype(zero);
    STD_TORCH_CHECK(states.dim() == 5, op, ": `states` must have shape [steps, C, B, N, d]");
    const JetAlgebra algebra = algebra_of(op, products, grad);
    const std::array<Tensor, 8> parameters = {w0, b0, w1, b1, wh, bh, wo, bo};
    const auto a = jet_flow_arguments<T>(op, grad, weights, parameters, periods, algebra, states.size(0));
    check_states(op, states, grad);
    Processor processor(op, grad, w1, wh);
    FlowGradients<T> gradients(grad, weights, parameters);
    processor.template backward<T>(a, read<T>(states), write<T>(gradients.points),
                                   write_if<T>(weight_gradients, gradients.weights),
                                   parameter_gradients ? gradients.pointers : nullptr);
    return gradients.tuple();
  });
}

template <class Processor, class Library>
void implement_jet_flow(Library& m) {
  m.impl("jet_flow", TORCH_BOX(&jet_flow_op<Processor>));
  m.impl("jet_flow_backward", TORCH_BOX(&jet_flow_backward_op<Processor>));
}

}  // namespace symflow
