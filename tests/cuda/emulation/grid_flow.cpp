#include <cmath>
#include <vector>

#include "cuda/grid_flow_cuda.cu"

namespace {

// `box` holds, for each axis, its number of nodes, its ends and whether it is periodic.
template <class T>
symflow::GridFlowArguments<T> arguments(std::int64_t rows, std::int64_t points, std::int64_t d, std::int64_t K,
                                            std::int64_t steps, const double* box, const T* weights, const T* values) {
  symflow::GridFlowArguments<T> a{};
  a.points = points;
  a.steps = steps;
  a.fields.rows = rows;
  a.fields.dimension = d;
  a.fields.generators = K;
  a.fields.weights = weights;
  a.fields.values = values;
  for (std::int64_t i = 0; i < d; ++i) {
    const double nodes = box[4 * i], lower = box[4 * i + 1], upper = box[4 * i + 2];
    const bool periodic = box[4 * i + 3] > 0;
    a.fields.axes[i] = {std::int64_t(nodes), T(lower), T((periodic ? nodes : nodes - 1) / (upper - lower)),
                        periodic ? std::nextafter(T(nodes + 1), T(0)) : T(nodes), periodic};
  }
  return a;
}

template <class T>
std::vector<T> workspace(std::int64_t size) {
  return std::vector<T>(std::size_t(size), T(NAN));
}

template <class T>
int forward(std::int64_t rows, std::int64_t points, std::int64_t d, std::int64_t K, std::int64_t steps,
            const double* box, const T* weights, const T* values, const T* start, T* end, T* states) {
  auto a = arguments<T>(rows, points, d, K, steps, box, weights, values);
  a.start = start;
  auto memory = workspace<T>(symflow::grid_flow_forward_workspace(a));
  return symflow::grid_flow_forward_cuda<T>(a, end, states, memory.data(), nullptr);
}

template <class T>
int backward(std::int64_t rows, std::int64_t points, std::int64_t d, std::int64_t K, std::int64_t steps,
             const double* box, const T* weights, const T* values, const T* grad, const T* states, T* grad_start,
             T* grad_weights, T* grad_values) {
  const auto a = arguments<T>(rows, points, d, K, steps, box, weights, values);
  auto memory =
      workspace<T>(symflow::grid_flow_backward_workspace(a, grad_weights != nullptr || grad_values != nullptr));
  return symflow::grid_flow_backward_cuda<T>(a, grad, states, grad_start, grad_weights, grad_values, memory.data(),
                                             nullptr);
}

}  // namespace

#define EXPORT(T)                                                                                                     \
  EMULATION_EXPORT int forward_##T(std::int64_t rows, std::int64_t points, std::int64_t d, std::int64_t K,            \
                                   std::int64_t steps, const double* box, const T* weights, const T* values,          \
                                   const T* start, T* end, T* states) {                                               \
    return forward<T>(rows, points, d, K, steps, box, weights, values, start, end, states);                           \
  }                                                                                                                   \
  EMULATION_EXPORT int backward_##T(std::int64_t rows, std::int64_t points, std::int64_t d, std::int64_t K,           \
                                    std::int64_t steps, const double* box, const T* weights, const T* values,         \
                                    const T* grad, const T* states, T* grad_start, T* grad_weights, T* grad_values) { \
    return backward<T>(rows, points, d, K, steps, box, weights, values, grad, states, grad_start, grad_weights,       \
                       grad_values);                                                                                  \
  }
EXPORT(float)
EXPORT(double)
