// symflow::jet_flow and symflow::jet_flow_backward on the CPU: from tensors to the pointers of cpu/jet_flow_cpu.h.
#include <torch/csrc/stable/library.h>

#include <array>
#include <tuple>
#include <vector>

#include "../cpu/jet_flow_cpu.h"
#include "flow_arguments.h"
#include "glue.h"

namespace symflow {
namespace {

// The algebra of `size` monomials from the triples (left, right, result) of their products.
JetAlgebra algebra_of(const char* op, const std::vector<std::int64_t>& triples, std::int64_t size) {
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
JetFlowArguments<T> arguments(const char* op, const Tensor& surface, const Tensor& weights,
                              const std::array<Tensor, 8>& parameters, const std::vector<double>& periods,
                              const JetAlgebra& algebra, std::int64_t steps) {
  const std::int64_t C = surface.size(0), B = surface.size(1), N = surface.size(2), d = surface.size(3);
  const ScalarType dtype = surface.scalar_type();
  JetFlowArguments<T> a{};
  static_cast<FlowArguments<T>&>(a) =
      flow_arguments<T>(op, "surface", N, d, B, dtype, weights, parameters, periods, steps);
  check_tensor(op, "surface", surface, dtype, {C, B, N, d});
  a.start = read<T>(surface);
  a.algebra = &algebra;
  return a;
}

std::tuple<Tensor, Tensor> jet_flow(const Tensor& surface, const Tensor& weights, const Tensor& w0, const Tensor& b0,
                                    const Tensor& w1, const Tensor& b1, const Tensor& wh, const Tensor& bh,
                                    const Tensor& wo, const Tensor& bo, std::vector<double> periods,
                                    std::vector<std::int64_t> products, std::int64_t steps, bool save_states) {
  return for_type("symflow::jet_flow", "surface", surface, [&](auto zero) {
    using T = decltype(zero);
    const char* op = "symflow::jet_flow";
    STD_TORCH_CHECK(surface.dim() == 4, op, ": `surface` must have shape [C, B, N, d]");
    const JetAlgebra algebra = algebra_of(op, products, surface.size(0));
    const auto a = arguments<T>(op, surface, weights, {w0, b0, w1, b1, wh, bh, wo, bo}, periods, algebra, steps);
    const Tensor end = torch::stable::empty_like(surface);
    const std::vector<std::int64_t> shape = {save_states ? steps : 0, algebra.size, a.rows, a.points, a.dimension};
    const Tensor states = torch::stable::new_empty(surface, shape);
    jet_flow_forward<T>(a, host_threads(), write<T>(end), save_states ? write<T>(states) : nullptr);
    return std::make_tuple(end, states);
  });
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> jet_flow_backward_op(
    const Tensor& grad, const Tensor& states, const Tensor& weights, const Tensor& w0, const Tensor& b0,
    const Tensor& w1, const Tensor& b1, const Tensor& wh, const Tensor& bh, const Tensor& wo, const Tensor& bo,
    std::vector<double> periods, std::vector<std::int64_t> products, bool weight_gradients, bool parameter_gradients) {
  return for_type("symflow::jet_flow_backward", "grad", grad, [&](auto zero) {
    using T = decltype(zero);
    const char* op = "symflow::jet_flow_backward";
    STD_TORCH_CHECK(grad.dim() == 4 && states.dim() == 5, op,
                    ": `grad` must have shape [C, B, N, d] and `states` [steps, C, B, N, d]");
    const JetAlgebra algebra = algebra_of(op, products, grad.size(0));
    const std::array<Tensor, 8> parameters = {w0, b0, w1, b1, wh, bh, wo, bo};
    const auto a = arguments<T>(op, grad, weights, parameters, periods, algebra, states.size(0));
    check_tensor(op, "states", states, grad.scalar_type(), {a.steps, algebra.size, a.rows, a.points, a.dimension});
    FlowGradients<T> gradients(grad, weights, parameters);
    jet_flow_backward<T>(a, host_threads(), a.start, read<T>(states), write<T>(gradients.points),
                         weight_gradients ? write<T>(gradients.weights) : nullptr,
                         parameter_gradients ? gradients.pointers : nullptr);
    return gradients.tuple();
  });
}

Tensor silu_taylor_op(const Tensor& x) {
  return for_type("symflow::silu_taylor", "x", x, [&](auto zero) {
    using T = decltype(zero);
    check_tensor("symflow::silu_taylor", "x", x, x.scalar_type(), {x.numel()});
    const std::vector<std::int64_t> shape = {max_degree + 2, x.numel()};
    const Tensor coefficients = torch::stable::new_empty(x, shape);
    silu_taylor<T>(read<T>(x), x.numel(), write<T>(coefficients));
    return coefficients;
  });
}

}  // namespace
}  // namespace symflow

STABLE_TORCH_LIBRARY_IMPL(symflow, CPU, m) {
  m.impl("jet_flow", TORCH_BOX(&symflow::jet_flow));
  m.impl("jet_flow_backward", TORCH_BOX(&symflow::jet_flow_backward_op));
  m.impl("silu_taylor", TORCH_BOX(&symflow::silu_taylor_op));
}
