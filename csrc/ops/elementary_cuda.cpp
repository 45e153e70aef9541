// symflow::elementary on the GPU.
#include "../cuda/elementary_cuda.h"

#include <torch/csrc/stable/library.h>

#include <array>
#include <tuple>

#include "cuda.h"

namespace symflow {
namespace {

std::tuple<Tensor, Tensor, Tensor, Tensor> elementary_op(const Tensor& x) {
  return for_type("symflow::elementary", "x", x, [&](auto zero) {
    using T = decltype(zero);
    const char* op = "symflow::elementary";
    check_tensor(op, "x", x, x.scalar_type(), {x.numel()}, x.device());
    const OnDevice on(x);
    std::array<Tensor, 4> out;
    for (auto& t : out) t = torch::stable::empty_like(x);
    check_launch(op, elementary_cuda<T>(read<T>(x), x.numel(), write<T>(out[0]), write<T>(out[1]), write<T>(out[2]),
                                        write<T>(out[3]), on.stream));
    return std::make_tuple(out[0], out[1], out[2], out[3]);
  });
}

}  // namespace
}  // namespace symflow

STABLE_TORCH_LIBRARY_IMPL(symflow, CUDA, m) { m.impl("elementary", TORCH_BOX(&symflow::elementary_op)); }
