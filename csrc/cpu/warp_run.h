// What the warp and the warp along a flow share: how the planes are cut and packed in waves.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "isa.h"
#include "parallel.h"
#include "warp_cpu.h"

namespace symflow {

using Index = std::int64_t;

// The kernels of the instruction set in use.
template <class T>
const WarpKernels<T>& selected_warp() {
  if constexpr (std::is_same_v<T, float>) {
    return SYMFLOW_SELECT(warp_float);
  } else {
    return SYMFLOW_SELECT(warp_double);
  }
}

constexpr Index wave_bytes = 4 << 20;      // of packed planes, at most, unless one unit has more
constexpr Index packed_at_once = 1 << 12;  // pixels of a plane that one task packs

inline Index parts(Index count, Index size) { return (count + size - 1) / size; }

// Units have at most so many blocks and bytes, but at least one block.
template <class T>
WarpProblem<T> warp_problem(const WarpArguments<T>& arguments, Index unit_blocks, Index unit_bytes) {
  const WarpKernels<T>& kernel = selected_warp<T>();
  WarpProblem<T> f{};
  static_cast<WarpArguments<T>&>(f) = arguments;
  f.frame = WarpFrame(f.height, f.width);
  f.planes = f.images * f.channels / f.sets;
  f.lanes = f.planes == 1 ? 1 : f.planes <= 2 * kernel.narrow_lanes ? kernel.narrow_lanes : kernel.lanes;
  f.blocks = parts(f.planes, f.lanes);
  const Index block_bytes = f.frame.cells * f.lanes * Index(sizeof(T));
  f.unit_blocks = std::clamp(unit_bytes / block_bytes, Index(1), std::min(f.blocks, unit_blocks));
  f.units = parts(f.blocks, f.unit_blocks);
  f.chunks = parts(f.points, warp_chunk);
  return f;
}

// Short tasks are handed out several at a time, since handing out takes time too.
template <class Work>
void for_each(Index tasks, const Parallel& parallel, const Work& work) {
  constexpr Index shares = 8;  // of each worker
  const Index count = std::min(tasks, shares * parallel.workers);
  for_each_tile(count, int(std::min<Index>(count, parallel.workers)), parallel, [&](Index share, int) {
    for (Index task = tasks * share / count; task < tasks * (share + 1) / count; ++task) work(task);
  });
}

// Packs p and q wave by wave and calls work(first unit, last unit) for each wave, of units counted through all sets.
template <class T, class Work>
void in_waves(WarpProblem<T>& f, const Parallel& parallel, const T* p, const T* q, const Work& work) {
  const WarpKernels<T>& kernel = selected_warp<T>();
  const Index block_size = f.frame.cells * f.lanes, units = f.sets * f.units;
  const Index wave = std::clamp(wave_bytes / (f.unit_blocks * block_size * Index(sizeof(T))), Index(1), units);
  // Units have fewer blocks at the end of a set.
  const auto block_of = [&](Index unit) {
    return unit / f.units * f.blocks + std::min(unit % f.units * f.unit_blocks, f.blocks);
  };
  const auto buffer = [&](const T* images) {
    return images == nullptr ? nullptr : allocate<T>(std::min(wave * f.unit_blocks, f.sets * f.blocks) * block_size);
  };
  const Buffer<T> packed_p = buffer(p), packed_q = buffer(q);
  f.p = packed_p.get();
  f.q = packed_q.get();
  const Index rows = std::max(packed_at_once / f.width, Index(1)), slabs = parts(f.height, rows);
  for (Index unit = 0; unit < units; unit += wave) {
    const Index end = std::min(unit + wave, units);
    f.first_block = block_of(unit);
    for_each((block_of(end) - f.first_block) * slabs, parallel, [&](Index slab) {
      const Index block = f.first_block + slab / slabs, first = slab % slabs * rows;
      const Index last = std::min(first + rows, Index(f.height));
      if (p != nullptr) kernel.pack(f, block, first, last, p, packed_p.get());
      if (q != nullptr) kernel.pack(f, block, first, last, q, packed_q.get());
    });
    work(unit, end);
  }
}

}  // namespace symflow
