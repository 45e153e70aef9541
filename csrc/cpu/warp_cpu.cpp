#include "warp_cpu.h"

#include <algorithm>

#include "isa.h"
#include "parallel.h"

namespace symflow {
namespace {

using Index = std::int64_t;

template <class T>
const WarpKernels<T>& kernels();
template <>
const WarpKernels<float>& kernels<float>() {
  return SYMFLOW_SELECT(warp_float);
}
template <>
const WarpKernels<double>& kernels<double>() {
  return SYMFLOW_SELECT(warp_double);
}

Index pieces(Index count, Index size) { return (count + size - 1) / size; }

template <class T>
WarpProblem<T> problem_of(const WarpArguments<T>& arguments, const WarpKernels<T>& kernel) {
  WarpProblem<T> f{};
  static_cast<WarpArguments<T>&>(f) = arguments;
  f.pixels = Index(f.height) * f.width;
  f.planes = f.images * f.channels / f.sets;
  f.lanes = f.planes == 1 ? 1 : f.planes <= 2 * kernel.narrow_lanes ? kernel.narrow_lanes : kernel.lanes;
  f.blocks = pieces(f.planes, f.lanes);
  f.groups = pieces(f.blocks, warp_group);
  f.chunks = pieces(f.points, warp_chunk);
  return f;
}

template <class Work>
void for_each(Index tasks, const Parallel& parallel, const Work& work) {
  for_each_tile(tasks, int(std::min<Index>(tasks, parallel.workers)), parallel, work);
}

template <class T>
Buffer<T> packed(const WarpProblem<T>& f, const WarpKernels<T>& kernel, const Parallel& parallel, const T* images) {
  if (images == nullptr) return nullptr;
  Buffer<T> buffer = allocate<T>(f.sets * f.blocks * (f.pixels + 1) * f.lanes);
  const Index count = pieces(f.pixels, warp_pack_piece);
  for_each(f.sets * f.blocks * count, parallel,
           [&](Index task, int) { kernel.pack(f, task / count, task % count, images, buffer.get()); });
  return buffer;
}

}  // namespace

template <class T>
void warp_sample(const WarpArguments<T>& arguments, const Parallel& parallel, const T* p, const T* q, T* out) {
  const WarpKernels<T>& kernel = kernels<T>();
  if (arguments.images * arguments.channels * arguments.grids * arguments.points == 0) return;
  WarpProblem<T> f = problem_of(arguments, kernel);
  const Buffer<T> packed_p = packed(f, kernel, parallel, p), packed_q = packed(f, kernel, parallel, q);
  f.p = packed_p.get();
  f.q = packed_q.get();
  f.out = out;
  for_each(f.sets * f.grids * f.chunks * f.groups, parallel, [&](Index task, int) { kernel.sample(f, task); });
}
template void warp_sample(const WarpArguments<float>&, const Parallel&, const float*, const float*, float*);
template void warp_sample(const WarpArguments<double>&, const Parallel&, const double*, const double*, double*);

// Each group of planes has its own sums; they are added in their order.
template <class T>
void warp_grid_gradient(const WarpArguments<T>& arguments, const Parallel& parallel, const T* grad, const T* p,
                        const T* q, T* grad_grid) {
  const WarpKernels<T>& kernel = kernels<T>();
  const Index size = 2 * arguments.sets * arguments.grids * arguments.points;
  if (size == 0) return;
  if (arguments.images * arguments.channels == 0) {
    std::fill_n(grad_grid, size, T(0));
    return;
  }
  WarpProblem<T> f = problem_of(arguments, kernel);
  const Buffer<T> packed_p = packed(f, kernel, parallel, p), packed_q = packed(f, kernel, parallel, q);
  const Buffer<T> sums = f.groups == 1 ? nullptr : allocate<T>(f.groups * size);
  f.p = packed_p.get();
  f.q = packed_q.get();
  f.grad = grad;
  f.grad_grid = f.groups == 1 ? grad_grid : sums.get();
  for_each(f.sets * f.grids * f.chunks * f.groups, parallel, [&](Index task, int) { kernel.grid_gradient(f, task); });
  if (f.groups == 1) return;
  constexpr Index piece = 4096;
  for_each(pieces(size, piece), parallel, [&](Index task, int) {
    for (Index i = task * piece; i < std::min(size, (task + 1) * piece); ++i) {
      double sum = 0;
      for (Index group = 0; group < f.groups; ++group) sum += double(sums[std::size_t(group * size + i)]);
      grad_grid[i] = T(sum);
    }
  });
}
template void warp_grid_gradient(const WarpArguments<float>&, const Parallel&, const float*, const float*, const float*,
                                 float*);
template void warp_grid_gradient(const WarpArguments<double>&, const Parallel&, const double*, const double*,
                                 const double*, double*);

// A thread owns a block of planes and visits its points in their order.
template <class T>
void warp_image_gradient(const WarpArguments<T>& arguments, const Parallel& parallel, const T* grad, T* grad_images) {
  const WarpKernels<T>& kernel = kernels<T>();
  if (arguments.images * arguments.channels == 0) return;
  WarpProblem<T> f = problem_of(arguments, kernel);
  f.grad = grad;
  f.grad_images = grad_images;
  const Index tasks = f.sets * f.blocks, scratch = rounded_up((f.pixels + 1) * f.lanes, alignment);
  const int workers = int(std::min<Index>(tasks, parallel.workers));
  const Buffer<T> memory = allocate<T>(workers * scratch);
  for_each_tile(tasks, workers, parallel,
                [&](Index task, int worker) { kernel.image_gradient(f, task, memory.get() + worker * scratch); });
}
template void warp_image_gradient(const WarpArguments<float>&, const Parallel&, const float*, float*);
template void warp_image_gradient(const WarpArguments<double>&, const Parallel&, const double*, double*);

}  // namespace symflow
