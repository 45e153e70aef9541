#include "warp_cpu.h"

#include <algorithm>

#include "isa.h"
#include "parallel.h"

namespace symflow {
namespace {

using Index = std::int64_t;

template <class T>
const WarpKernels<T>& kernels() {
  return by_type<T>(SYMFLOW_SELECT(warp_float), SYMFLOW_SELECT(warp_double));
}

constexpr Index most_unit_blocks = 8;      // so that there are many tasks; corners then serve 8 registers of planes
constexpr Index unit_bytes = 1 << 20;      // of packed planes, at most, unless one block has more
constexpr Index wave_bytes = 1 << 18;      // of them for each worker, at least a unit: they stay in its second cache
constexpr Index packed_at_once = 1 << 12;  // pixels of a plane that one task packs

Index parts(Index count, Index size) { return (count + size - 1) / size; }

// Planes that would fill less than half of a register's lanes lie side by side in `few_lanes`.
template <class T>
WarpProblem<T> problem_of(const WarpArguments<T>& arguments, const WarpKernels<T>& kernel, Index few_lanes,
                          const WarpWhole* whole) {
  WarpProblem<T> f{};
  static_cast<WarpArguments<T>&>(f) = arguments;
  f.whole = whole == nullptr ? WarpWhole{f.grids, f.points} : *whole;
  f.frame = WarpFrame(f.height, f.width);
  f.planes = f.images * f.channels / f.sets;
  f.lanes = f.planes == 1 ? 1 : 2 * f.planes <= kernel.lanes ? few_lanes : kernel.lanes;
  f.blocks = parts(f.planes, f.lanes);
  const Index block_bytes = f.frame.cells * f.lanes * Index(sizeof(T));
  f.unit_blocks = std::clamp(unit_bytes / block_bytes, Index(1), std::min(f.blocks, most_unit_blocks));
  f.units = parts(f.blocks, f.unit_blocks);
  f.chunks = parts(f.points, warp_chunk);
  return f;
}

// Short tasks are handed out several at a time, since handing out takes time too.
template <class Work>
void for_each(Index tasks, const Parallel& parallel, const Work& work) {
  constexpr Index shares = 8;  // of each worker
  const Index count = std::min(tasks, shares * parallel.workers);
  for_each_tile(count, int(std::min<Index>(count, parallel.workers)), parallel, [&](Index share, int worker) {
    for (Index task = tasks * share / count; task < tasks * (share + 1) / count; ++task) work(task, worker);
  });
}

// Packs p and q wave by wave and calls task(problem, index) for every task of each wave. Where there are plenty of
// units each worker has waves of its own, of one unit, and waits for nobody; else the workers share waves of many
// units.
template <class T, class Task>
void in_waves(WarpProblem<T>& f, const WarpKernels<T>& kernel, const Parallel& parallel, const T* p, const T* q,
              const Task& task) {
  constexpr Index plenty = 8;  // for each worker
  const Index block_size = f.frame.cells * f.lanes, units = f.sets * f.units, tasks = f.grids * f.chunks;
  const bool apart = units >= plenty * parallel.workers;
  const Index fitting = parallel.workers * wave_bytes / (f.unit_blocks * block_size * Index(sizeof(T)));
  const Index wave = apart ? 1 : std::clamp(fitting, Index(1), units), waves = apart ? parallel.workers : 1;
  const Index wave_size = std::min(wave * f.unit_blocks, f.sets * f.blocks) * block_size;
  // Units have fewer blocks at the end of a set.
  const auto block_of = [&](Index unit) {
    return unit / f.units * f.blocks + std::min(unit % f.units * f.unit_blocks, f.blocks);
  };
  const auto buffer = [&](const T* images) { return images == nullptr ? nullptr : allocate<T>(waves * wave_size); };
  const Buffer<T> packed_p = buffer(p), packed_q = buffer(q);
  const auto pack = [&](const WarpProblem<T>& g, Index block, Index first, Index last) {
    // The buffers are ours; the problem has them as what is read.
    if (p != nullptr) kernel.pack(g, block, first, last, p, const_cast<T*>(g.p));
    if (q != nullptr) kernel.pack(g, block, first, last, q, const_cast<T*>(g.q));
  };
  if (apart) {
    for_each(units, parallel, [&](Index unit, int worker) {
      WarpProblem<T> g = f;
      g.p = p == nullptr ? nullptr : packed_p.get() + worker * wave_size;
      g.q = q == nullptr ? nullptr : packed_q.get() + worker * wave_size;
      g.first_block = block_of(unit);
      for (Index block = g.first_block; block < block_of(unit + 1); ++block) pack(g, block, 0, g.height);
      for (Index index = 0; index < tasks; ++index) task(g, unit * tasks + index);
    });
    return;
  }
  f.p = packed_p.get();
  f.q = packed_q.get();
  const Index rows = std::max(packed_at_once / f.width, Index(1)), slabs = parts(f.height, rows);
  for (Index unit = 0; unit < units; unit += wave) {
    const Index end = std::min(unit + wave, units);
    f.first_block = block_of(unit);
    for_each((block_of(end) - f.first_block) * slabs, parallel, [&](Index slab, int) {
      const Index first = slab % slabs * rows;
      pack(f, f.first_block + slab / slabs, first, std::min(first + rows, Index(f.height)));
    });
    for_each((end - unit) * tasks, parallel, [&](Index index, int) { task(f, unit * tasks + index); });
  }
}

}  // namespace

template <class T>
void warp_sample(const WarpArguments<T>& arguments, const Parallel& parallel, const T* p, const T* q, T* out,
                 const WarpWhole* whole) {
  if (arguments.images * arguments.channels * arguments.grids * arguments.points == 0) return;
  const WarpKernels<T>& kernel = kernels<T>();
  WarpProblem<T> f = problem_of(arguments, kernel, kernel.narrow_lanes, whole);
  f.out = out;
  in_waves(f, kernel, parallel, p, q, kernel.sample);
}
template void warp_sample(const WarpArguments<float>&, const Parallel&, const float*, const float*, float*,
                          const WarpWhole*);
template void warp_sample(const WarpArguments<double>&, const Parallel&, const double*, const double*, double*,
                          const WarpWhole*);

// Each unit of planes has sums of its own; they are added in their order.
template <class T>
void warp_grid_gradient(const WarpArguments<T>& arguments, const Parallel& parallel, const T* grad, const T* p,
                        const T* q, T* grad_grid, const WarpWhole* whole) {
  const Index size = 2 * arguments.sets * arguments.grids * arguments.points;
  if (size == 0) return;
  if (arguments.images * arguments.channels == 0) {
    std::fill_n(grad_grid, size, T(0));
    return;
  }
  const WarpKernels<T>& kernel = kernels<T>();
  WarpProblem<T> f = problem_of(arguments, kernel, 1, whole);
  const Buffer<T> sums = f.units == 1 ? nullptr : allocate<T>(f.units * size);
  f.grad = grad;
  f.grad_grid = f.units == 1 ? grad_grid : sums.get();
  in_waves(f, kernel, parallel, p, q, kernel.grid_gradient);
  if (f.units == 1) return;
  constexpr Index piece = 4096;
  for_each(parts(size, piece), parallel, [&](Index task, int) {
    for (Index i = task * piece; i < std::min(size, (task + 1) * piece); ++i) {
      double sum = 0;
      for (Index unit = 0; unit < f.units; ++unit) sum += double(sums[std::size_t(unit * size + i)]);
      grad_grid[i] = T(sum);
    }
  });
}
template void warp_grid_gradient(const WarpArguments<float>&, const Parallel&, const float*, const float*, const float*,
                                 float*, const WarpWhole*);
template void warp_grid_gradient(const WarpArguments<double>&, const Parallel&, const double*, const double*,
                                 const double*, double*, const WarpWhole*);

// A thread owns a block of planes and visits its points in their order.
template <class T>
void warp_image_gradient(const WarpArguments<T>& arguments, const Parallel& parallel, const T* grad, T* grad_images) {
  if (arguments.images * arguments.channels == 0) return;
  const WarpKernels<T>& kernel = kernels<T>();
  WarpProblem<T> f = problem_of(arguments, kernel, kernel.narrow_lanes, nullptr);
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
