#include <vector>

#include "cuda/flow_cuda.cu"
#include "cuda/flow_double.cu"
#include "cuda/flow_split.cu"
#include "cuda/flow_tf32.cu"

namespace {

template <class T>
symflow::FlowArguments<T> arguments(const std::int64_t* sizes, const double* periods, const T* start, const T* weights,
                                    const T* const* parameters) {
  symflow::FlowArguments<T> a{};
  a.rows = sizes[0], a.points = sizes[1], a.dimension = sizes[2], a.embedding = sizes[3];
  a.width = sizes[4], a.heads = sizes[5], a.head_width = sizes[6], a.steps = sizes[7];
  a.periods = periods;
  a.start = start;
  a.weights = weights;
  std::copy_n(parameters, 8, a.parameters);
  return a;
}

// A workspace of exactly the size asked for, of bytes that are NaN, with a margin that must stay.
struct Workspace {
  static constexpr std::size_t margin = 4096;
  std::vector<unsigned char> bytes;
  std::size_t size;

  explicit Workspace(std::size_t asked) : bytes(asked + margin + 256, 0xFF), size(asked) {}
  unsigned char* get() { return bytes.data() + (256 - reinterpret_cast<std::uintptr_t>(bytes.data()) % 256) % 256; }
  bool intact() {
    const unsigned char* end = bytes.data() + bytes.size();
    return std::all_of(static_cast<const unsigned char*>(get()) + size, end, [](unsigned char b) { return b == 0xFF; });
  }
};

constexpr int overrun = -1;

template <class T>
int forward(const std::int64_t* sizes, const double* periods, std::int64_t tf32, const T* start, const T* weights,
            const T* const* parameters, T* end, T* states) {
  const auto a = arguments(sizes, periods, start, weights, parameters);
  if (!symflow::flow_fits(a, tf32 != 0, false)) return cudaErrorInvalidValue;
  Workspace workspace(symflow::flow_forward_workspace(a));
  const int error = symflow::flow_forward_cuda(a, tf32 != 0, end, states, workspace.get(), nullptr);
  return error != 0 || workspace.intact() ? error : overrun;
}

template <class T>
int backward(const std::int64_t* sizes, const double* periods, std::int64_t tf32, const T* weights,
             const T* const* parameters, const T* grad_end, const T* states, T* grad_start, T* grad_weights,
             T* const* grad_parameters) {
  const auto a = arguments<T>(sizes, periods, nullptr, weights, parameters);
  if (!symflow::flow_fits(a, tf32 != 0, true)) return cudaErrorInvalidValue;
  Workspace workspace(
      symflow::flow_backward_workspace(a, tf32 != 0, grad_weights != nullptr, grad_parameters != nullptr));
  const int error = symflow::flow_backward_cuda(a, tf32 != 0, grad_end, states, grad_start, grad_weights,
                                                grad_parameters, workspace.get(), nullptr);
  return error != 0 || workspace.intact() ? error : overrun;
}

}  // namespace

#define EXPORT_FLOW(T)                                                                                                 \
  EMULATION_EXPORT int forward_##T(const std::int64_t* sizes, const double* periods, std::int64_t tf32,                \
                                   const T* start, const T* weights, const T* w0, const T* b0, const T* w1,            \
                                   const T* b1, const T* wh, const T* bh, const T* wo, const T* bo, T* end,            \
                                   T* states) {                                                                        \
    const T* const parameters[8] = {w0, b0, w1, b1, wh, bh, wo, bo};                                                   \
    return forward<T>(sizes, periods, tf32, start, weights, parameters, end, states);                                  \
  }                                                                                                                    \
  EMULATION_EXPORT int backward_##T(const std::int64_t* sizes, const double* periods, std::int64_t tf32,               \
                                    const T* weights, const T* w0, const T* b0, const T* w1, const T* b1, const T* wh, \
                                    const T* bh, const T* wo, const T* bo, const T* grad_end, const T* states,         \
                                    T* grad_start, T* grad_weights, T* gw0, T* gb0, T* gw1, T* gb1, T* gwh, T* gbh,    \
                                    T* gwo, T* gbo) {                                                                  \
    const T* const parameters[8] = {w0, b0, w1, b1, wh, bh, wo, bo};                                                   \
    T* const grads[8] = {gw0, gb0, gw1, gb1, gwh, gbh, gwo, gbo};                                                      \
    return backward<T>(sizes, periods, tf32, weights, parameters, grad_end, states, grad_start, grad_weights,          \
                       gw0 == nullptr ? nullptr : grads);                                                              \
  }
EXPORT_FLOW(float)
EXPORT_FLOW(double)
