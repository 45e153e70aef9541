#include "warp_cpu.h"

#include <algorithm>

#include "parallel.h"
#include "warp_run.h"

namespace symflow {
namespace {

constexpr Index most_unit_blocks = 8;  // so that there are many tasks; corners then serve 8 registers of planes
constexpr Index unit_bytes = 1 << 20;

template <class T>
WarpProblem<T> problem_of(const WarpArguments<T>& arguments) {
  return warp_problem(arguments, most_unit_blocks, unit_bytes);
}

// work(task, where its points begin in the grids) for all tasks, wave by wave.
template <class T, class Work>
void for_each_task(WarpProblem<T>& f, const Parallel& parallel, const T* p, const T* q, const Work& work) {
  in_waves(f, parallel, p, q, [&](Index first_unit, Index last_unit) {
    const Index each = f.grids * f.chunks;
    for_each((last_unit - first_unit) * each, parallel, [&](Index index) {
      const Index unit = first_unit + index / each, grid = index / f.chunks % f.grids;
      const Index set = unit / f.units, first = index % f.chunks * warp_chunk;
      const WarpTask task = {set, unit % f.units, grid, first, std::min(f.points - first, warp_chunk)};
      work(task, 2 * ((set * f.grids + grid) * f.points + first));
    });
  });
}

}  // namespace

template <class T>
void warp_sample(const WarpArguments<T>& arguments, const Parallel& parallel, const T* p, const T* q, T* out) {
  if (arguments.images * arguments.channels * arguments.grids * arguments.points == 0) return;
  const WarpKernels<T>& kernel = selected_warp<T>();
  WarpProblem<T> f = problem_of(arguments);
  f.out = out;
  for_each_task(f, parallel, p, q, [&](const WarpTask& task, Index begin) {
    kernel.sample(f, task, f.grid + begin, q == nullptr ? nullptr : f.velocity + begin);
  });
}
template void warp_sample(const WarpArguments<float>&, const Parallel&, const float*, const float*, float*);
template void warp_sample(const WarpArguments<double>&, const Parallel&, const double*, const double*, double*);

// Each unit of planes has sums of its own; they are added in their order.
template <class T>
void warp_grid_gradient(const WarpArguments<T>& arguments, const Parallel& parallel, const T* grad, const T* p,
                        const T* q, T* grad_grid) {
  const Index size = 2 * arguments.sets * arguments.grids * arguments.points;
  if (size == 0) return;
  if (arguments.images * arguments.channels == 0) {
    std::fill_n(grad_grid, size, T(0));
    return;
  }
  const WarpKernels<T>& kernel = selected_warp<T>();
  WarpProblem<T> f = problem_of(arguments);
  const Buffer<T> sums = f.units == 1 ? nullptr : allocate<T>(f.units * size);
  f.grad = grad;
  T* to = f.units == 1 ? grad_grid : sums.get();
  for_each_task(f, parallel, p, q, [&](const WarpTask& task, Index begin) {
    kernel.grid_gradient(f, task, f.grid + begin, q == nullptr ? nullptr : f.velocity + begin,
                         to + task.unit * size + begin);
  });
  if (f.units == 1) return;
  constexpr Index piece = 4096;
  for_each(parts(size, piece), parallel, [&](Index task) {
    for (Index i = task * piece; i < std::min(size, (task + 1) * piece); ++i) {
      double sum = 0;
      for (Index unit = 0; unit < f.units; ++unit) sum += double(sums[std::size_t(unit * size + i)]);
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
  if (arguments.images * arguments.channels == 0) return;
  const WarpKernels<T>& kernel = selected_warp<T>();
  WarpProblem<T> f = problem_of(arguments);
  f.grad = grad;
  f.grad_images = grad_images;
  const Index tasks = f.sets * f.blocks, scratch = rounded_up(f.frame.cells * f.lanes, alignment);
  const int workers = int(std::min<Index>(tasks, parallel.workers));
  const Buffer<T> memory = allocate<T>(workers * scratch);
  for_each_tile(tasks, workers, parallel,
                [&](Index task, int worker) { kernel.image_gradient(f, task, memory.get() + worker * scratch); });
}
template void warp_image_gradient(const WarpArguments<float>&, const Parallel&, const float*, float*);
template void warp_image_gradient(const WarpArguments<double>&, const Parallel&, const double*, double*);

}  // namespace symflow
