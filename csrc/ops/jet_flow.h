// What the glue of jet_flow on the CPU and on the GPU shares: its arguments, checked.
#pragma once

#include <array>
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
                                       const JetAlgebra& algebra, std::int64_t steps,
                                       const torch::stable::Device& device) {
  const std::int64_t C = surface.size(0), B = surface.size(1), N = surface.size(2), d = surface.size(3);
  const ScalarType dtype = surface.scalar_type();
  JetFlowArguments<T> a{};
  static_cast<FlowArguments<T>&>(a) =
      network_arguments<T>(op, "surface", N, d, B, dtype, weights, parameters, periods, steps, device);
  check_tensor(op, "surface", surface, dtype, {C, B, N, d}, device);
  a.start = read<T>(surface);
  a.algebra = &algebra;
  return a;
}

}  // namespace symflow
