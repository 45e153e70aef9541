// A small host emulation of CUDA, enough to run the kernels of csrc/cuda in tests: the file that they find as
// <cuda_runtime.h> when they are compiled as plain C++.
//
// Blocks run one after the other, in a shuffled order. The threads of a block are coroutines: each runs until its next
// barrier or warp operation before another one is given a turn, in an order that is shuffled anew each time. A missing
// barrier is therefore a thread that reads before another one has written. Shared memory has exactly the size asked
// for, is filled with NaN before each block, and has margins that must stay as they were. What a kernel does wrong ends
// its launch with cudaErrorLaunchFailure and a sentence in emulation_problem().
//
// One translation unit includes this, and one thread calls it.
#pragma once

#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <numeric>
#include <random>
#include <source_location>
#include <string>
#include <vector>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_UNPOISON_MEMORY_REGION(begin, size)
#endif

// ---- words of the language ----------------------------------------------------------------------------------------

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(n) alignas(n)

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
struct uint3 {
  unsigned x, y, z;
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(16) double2 {
  double x, y;
};
struct alignas(8) int2 {
  int x, y;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline double2 make_double2(double x, double y) { return {x, y}; }
inline int2 make_int2(int x, int y) { return {x, y}; }

using std::max;
using std::min;

inline uint3 threadIdx, blockIdx;
inline dim3 blockDim, gridDim;
constexpr int warpSize = 32;

// ---- the part of the runtime that launchers call ------------------------------------------------------------------

enum cudaError_t { cudaSuccess = 0, cudaErrorInvalidValue = 1, cudaErrorLaunchFailure = 719 };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };
enum cudaDeviceAttr { cudaDevAttrMultiProcessorCount = 16, cudaDevAttrMaxSharedMemoryPerBlockOptin = 97 };
using cudaStream_t = void*;

struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  std::size_t dynamicSmemBytes;
  cudaStream_t stream;
};

// ---- the machine --------------------------------------------------------------------------------------------------

namespace cuda_emulation {

using Place = std::source_location;  // of a barrier or warp operation in the source

struct Machine {
  int shared_memory_limit = 227 * 1024;  // bytes a block may have: those of compute capability 9.0
  int multiprocessors = 4;               // few, so that kernels which loop over blocks do loop
  unsigned seed = 0;                     // of the order of threads and blocks
  std::string problem;                   // what the last launch did wrong, or empty
};
inline Machine machine;

enum class Wait { no, for_block, for_warp, finished };

struct Exchange {  // what a lane offers to its warp
  alignas(16) unsigned char bytes[64];
};

struct Copy {  // on its way into shared memory
  void* to;
  const void* from;
  std::size_t bytes;
  unsigned group;
};

struct Coroutine {
  ucontext_t context;  // where it begins
  jmp_buf place_of_pause;
  bool begun;
  uint3 index;
  Wait wait;
  Place place;
  Exchange offers[2];  // of this warp operation and the one before, which a slow lane may still have to read
  unsigned operations;
  std::vector<Copy> copies;
  unsigned committed;  // groups of copies
};

struct Block {
  static constexpr std::size_t stack_bytes = 256 * 1024, margin = 4096;
  static constexpr unsigned char poison = 0xFF;  // a NaN in every floating-point type

  jmp_buf scheduler;
  std::vector<Coroutine> threads;
  Coroutine* current = nullptr;
  std::function<void()> kernel;
  unsigned char* stacks = nullptr;
  std::size_t stacks_size = 0;
  std::vector<unsigned char> memory;  // margin, shared memory, margin
  std::size_t shared_bytes = 0;
  std::mt19937 random;

  unsigned char* shared() {
    auto at = reinterpret_cast<std::uintptr_t>(memory.data()) + margin;
    return reinterpret_cast<unsigned char*>((at + 127) / 128 * 128);
  }
};
inline Block block;

inline unsigned char* shared_memory() { return block.shared(); }

inline std::string text(const Place& place) {
  const std::string file = place.file_name();
  return file.substr(file.rfind('/') + 1) + ":" + std::to_string(place.line());
}

inline bool same(const Place& a, const Place& b) {
  return a.line() == b.line() && std::strcmp(a.file_name(), b.file_name()) == 0;
}

// Gives the turn back; the scheduler returns here once the wait is over. Contexts only begin the coroutines: to switch
// by long jumps is many times faster, because it leaves the signals alone.
inline void pause(Wait wait, const Place& place) {
  Coroutine* self = block.current;
  self->wait = wait;
  self->place = place;
  if (_setjmp(self->place_of_pause) == 0) _longjmp(block.scheduler, 1);
}

inline void fail(const std::string& problem) {
  if (machine.problem.empty()) machine.problem = problem;
  pause(Wait::finished, Place::current());  // and is never resumed
}

inline void run_coroutine() {
  block.kernel();
  pause(Wait::finished, Place::current());
}

inline void resume(Coroutine& thread) {
  block.current = &thread;
  thread.wait = Wait::no;
  threadIdx = thread.index;
  if (_setjmp(block.scheduler) != 0) return;
  if (thread.begun) _longjmp(thread.place_of_pause, 1);
  thread.begun = true;
  setcontext(&thread.context);
}

// Lets the threads [first, first + count) go on if they all wait for each other at one place. Otherwise, if some of
// them do and none of the others will ever come, that is a problem of the kernel.
inline bool release(std::size_t first, std::size_t count, Wait wait, const char* group) {
  std::size_t waiting = 0, finished = 0, stuck = 0;
  const Coroutine* one = nullptr;
  bool together = true;
  for (std::size_t i = first; i < first + count; ++i) {
    const Coroutine& t = block.threads[i];
    if (t.wait == wait) {
      if (one == nullptr) one = &t;
      together = together && same(t.place, one->place);
      ++waiting;
    }
    finished += t.wait == Wait::finished;
    stuck += t.wait == Wait::finished || t.wait == Wait::for_block;
  }
  if (waiting == 0) return false;
  if (waiting == count && together) {
    for (std::size_t i = first; i < first + count; ++i) block.threads[i].wait = Wait::no;
    return true;
  }
  const bool hopeless = wait == Wait::for_block ? waiting + finished == count : waiting + stuck == count;
  if (hopeless && machine.problem.empty()) {
    machine.problem = "threads of a " + std::string(group) + " part: " + std::to_string(waiting) + " of " +
                      std::to_string(count) + " wait at " + text(one->place) +
                      (together ? ", which the others never reach" : " and elsewhere");
  }
  return false;
}

// A function of its own: whoever calls getcontext may have its variables clobbered.
inline void prepare(ucontext_t& context, unsigned char* stack) {
  // What the frames of the last block's threads have poisoned is poisoned still: they never returned.
  ASAN_UNPOISON_MEMORY_REGION(stack, Block::stack_bytes);
  getcontext(&context);
  context.uc_stack.ss_sp = stack;
  context.uc_stack.ss_size = Block::stack_bytes;
  context.uc_link = nullptr;
  makecontext(&context, run_coroutine, 0);
}

inline void run_block() {
  std::vector<std::size_t> order(block.threads.size());
  std::iota(order.begin(), order.end(), 0);
  std::memset(block.memory.data(), Block::poison, block.memory.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    Coroutine& t = block.threads[i];
    t.wait = Wait::no;
    t.begun = false;
    t.operations = 0;
    t.copies.clear();
    t.committed = 0;
    t.index = {unsigned(i) % blockDim.x, unsigned(i) / blockDim.x % blockDim.y, unsigned(i) / blockDim.x / blockDim.y};
    prepare(t.context, block.stacks + i * Block::stack_bytes);
  }
  for (bool moving = true; moving && machine.problem.empty();) {
    moving = false;
    std::shuffle(order.begin(), order.end(), block.random);
    for (const std::size_t i : order) {
      if (block.threads[i].wait != Wait::no) continue;
      resume(block.threads[i]);
      moving = true;
      if (!machine.problem.empty()) return;
    }
    for (std::size_t first = 0; first < order.size(); first += warpSize) {
      moving |= release(first, std::min<std::size_t>(warpSize, order.size() - first), Wait::for_warp, "warp");
    }
    moving |= release(0, order.size(), Wait::for_block, "block");
  }
  const unsigned char* end = block.shared() + block.shared_bytes;
  for (const unsigned char* p = block.memory.data(); p != block.memory.data() + block.memory.size(); ++p) {
    if ((p < block.shared() || p >= end) && *p != Block::poison && machine.problem.empty()) {
      machine.problem = "a block wrote " + std::to_string(p < end ? block.shared() - p : p - end + 1) + " bytes " +
                        (p < end ? "before" : "behind") + " its shared memory of " +
                        std::to_string(block.shared_bytes) + " bytes";
    }
  }
}

inline cudaError_t run(dim3 grid, dim3 threads, std::size_t shared_bytes, std::function<void()> kernel) {
  machine.problem.clear();
  const std::size_t count = std::size_t(threads.x) * threads.y * threads.z;
  const std::size_t blocks = std::size_t(grid.x) * grid.y * grid.z;
  if (count == 0 || count > 1024 || blocks == 0 || grid.x > 0x7FFFFFFFu || grid.y > 65535 || grid.z > 65535 ||
      shared_bytes > std::size_t(machine.shared_memory_limit)) {
    return cudaErrorInvalidValue;
  }
  if (block.stacks_size < count * Block::stack_bytes) {
    if (block.stacks != nullptr) {
      ASAN_UNPOISON_MEMORY_REGION(block.stacks, block.stacks_size);
      munmap(block.stacks, block.stacks_size);
    }
    block.stacks_size = count * Block::stack_bytes;
    block.stacks = static_cast<unsigned char*>(
        mmap(nullptr, block.stacks_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    if (block.stacks == MAP_FAILED) std::abort();
  }
  block.threads.resize(count);
  block.memory.assign(shared_bytes + 2 * Block::margin + 128, 0);
  block.shared_bytes = shared_bytes;
  block.kernel = std::move(kernel);
  block.random.seed(machine.seed);
  blockDim = threads;
  gridDim = grid;
  std::vector<std::size_t> order(blocks);
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), block.random);
  for (const std::size_t i : order) {
    blockIdx = {unsigned(i % grid.x), unsigned(i / grid.x % grid.y), unsigned(i / grid.x / grid.y)};
    run_block();
    if (!machine.problem.empty()) return cudaErrorLaunchFailure;
  }
  return cudaSuccess;
}

inline unsigned thread_number() { return threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z); }

// Every lane of the warp offers a value; read(lane) then gives that of any lane.
template <class T>
struct WarpValues {
  const Coroutine* warp;
  unsigned operation;
  T read(unsigned lane) const {
    T value;
    std::memcpy(&value, warp[lane].offers[operation % 2].bytes, sizeof value);
    return value;
  }
};

template <class T>
WarpValues<T> exchange(unsigned mask, const T& value, const Place& place) {
  static_assert(sizeof(T) <= sizeof(Exchange));
  const unsigned thread = thread_number(), first = thread / warpSize * warpSize;
  if (mask != 0xFFFFFFFFu || first + warpSize > block.threads.size()) {
    fail("only whole warps may exchange values in this emulation: " + text(place));
  }
  Coroutine& self = block.threads[thread];
  const unsigned operation = self.operations++;
  std::memcpy(self.offers[operation % 2].bytes, &value, sizeof value);
  pause(Wait::for_warp, place);
  return {&block.threads[first], operation};
}

// ---- tensor cores, see csrc/cuda/mma.h

inline std::uint32_t bits_of(float x) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}
inline float float_of(std::uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

inline float nearest_tf32(float x) { return std::isfinite(x) ? float_of((bits_of(x) + 0x1000u) & ~0x1FFFu) : x; }

// To float32, towards zero.
inline float cut_to_float(double x) {
  const float nearest = float(x);
  if (!std::isfinite(x) || std::abs(double(nearest)) <= std::abs(x)) return nearest;
  return std::nextafterf(nearest, 0.0f);
}

struct Factors {
  float a[4], b[2];
};

inline void mma_tf32(float (&c)[4], const float (&a)[4], const float (&b)[2], const Place& place = Place::current()) {
  Factors mine;
  for (int i = 0; i < 4; ++i) mine.a[i] = float_of(bits_of(a[i]) & ~0x1FFFu);
  for (int i = 0; i < 2; ++i) mine.b[i] = float_of(bits_of(b[i]) & ~0x1FFFu);
  const auto warp = exchange(0xFFFFFFFFu, mine, place);
  const unsigned lane = thread_number() % warpSize, group = lane / 4, pair = lane % 4;
  for (unsigned i = 0; i < 4; ++i) {
    const unsigned row = group + 8 * (i / 2), column = 2 * pair + i % 2;
    double sum = c[i];  // the products are exact in double
    for (unsigned k = 0; k < 8; ++k) {
      const float left = warp.read(row % 8 * 4 + k % 4).a[row / 8 + 2 * (k / 4)];
      sum += double(left) * double(warp.read(column * 4 + k % 4).b[k / 4]);
    }
    c[i] = cut_to_float(sum);
  }
}

}  // namespace cuda_emulation

template <class... Parameters, class... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                               Arguments... arguments) {
  return cuda_emulation::run(config->gridDim, config->blockDim, config->dynamicSmemBytes,
                             [=] { kernel(Parameters(arguments)...); });
}

inline cudaError_t cudaFuncSetAttribute(const void*, cudaFuncAttribute, int bytes) {
  return bytes <= cuda_emulation::machine.shared_memory_limit ? cudaSuccess : cudaErrorInvalidValue;
}
inline cudaError_t cudaMemsetAsync(void* to, int byte, std::size_t bytes, cudaStream_t) {
  std::memset(to, byte, bytes);
  return cudaSuccess;
}
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}
inline cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  const auto& m = cuda_emulation::machine;
  *value = attribute == cudaDevAttrMultiProcessorCount ? m.multiprocessors : m.shared_memory_limit;
  return cudaSuccess;
}

// ---- barriers, warp operations, atomics ---------------------------------------------------------------------------

inline void __syncthreads(std::source_location place = std::source_location::current()) {
  cuda_emulation::pause(cuda_emulation::Wait::for_block, place);
}
inline void __syncwarp(unsigned mask = 0xFFFFFFFFu, std::source_location place = std::source_location::current()) {
  cuda_emulation::exchange(mask, 0, place);
}
inline void __threadfence() {}
inline void __threadfence_block() {}

template <class T>
T __shfl_sync(unsigned mask, T value, int lane, int width = 32,
              std::source_location place = std::source_location::current()) {
  const auto values = cuda_emulation::exchange(mask, value, place);
  const int self = int(cuda_emulation::thread_number()) % warpSize;
  return values.read(unsigned(self / width * width + (lane & (width - 1))));
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32,
                  std::source_location place = std::source_location::current()) {
  const auto values = cuda_emulation::exchange(mask, value, place);
  const int self = int(cuda_emulation::thread_number()) % warpSize, other = self ^ lanes;
  return values.read(unsigned(other < (self / width + 1) * width ? other : self));
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                   std::source_location place = std::source_location::current()) {
  const auto values = cuda_emulation::exchange(mask, value, place);
  const int self = int(cuda_emulation::thread_number()) % warpSize, other = self + int(delta);
  return values.read(unsigned(other < (self / width + 1) * width ? other : self));
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32,
                 std::source_location place = std::source_location::current()) {
  const auto values = cuda_emulation::exchange(mask, value, place);
  const int self = int(cuda_emulation::thread_number()) % warpSize, other = self - int(delta);
  return values.read(unsigned(other >= self / width * width ? other : self));
}
inline unsigned __ballot_sync(unsigned mask, int predicate,
                              std::source_location place = std::source_location::current()) {
  const auto values = cuda_emulation::exchange(mask, predicate, place);
  unsigned bits = 0;
  for (unsigned lane = 0; lane < 32; ++lane) bits |= unsigned(values.read(lane) != 0) << lane;
  return bits;
}
inline int __any_sync(unsigned mask, int predicate, std::source_location place = std::source_location::current()) {
  return __ballot_sync(mask, predicate, place) != 0;
}
inline int __all_sync(unsigned mask, int predicate, std::source_location place = std::source_location::current()) {
  return __ballot_sync(mask, predicate, place) == 0xFFFFFFFFu;
}

inline int __popc(unsigned bits) { return __builtin_popcount(bits); }

// Integers only: sums of floating-point numbers in the order of arrival would differ from run to run.
template <class T>
T atomicAdd(T* place, T value) {
  static_assert(std::is_integral_v<T>, "kernels add no floating-point numbers atomically");
  const T before = *place;
  *place = before + value;
  return before;
}
template <class T>
T atomicMax(T* place, T value) {
  static_assert(std::is_integral_v<T>);
  const T before = *place;
  *place = std::max(before, value);
  return before;
}
template <class T>
T atomicMin(T* place, T value) {
  static_assert(std::is_integral_v<T>);
  const T before = *place;
  *place = std::min(before, value);
  return before;
}
template <class T>
T atomicExch(T* place, T value) {
  static_assert(std::is_integral_v<T>);
  const T before = *place;
  *place = value;
  return before;
}

// ---- arithmetic ---------------------------------------------------------------------------------------------------

inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline double __fma_rn(double a, double b, double c) { return std::fma(a, b, c); }
inline unsigned __float_as_uint(float a) {
  unsigned bits;
  std::memcpy(&bits, &a, sizeof bits);
  return bits;
}
inline float __uint_as_float(unsigned bits) {
  float a;
  std::memcpy(&a, &bits, sizeof a);
  return a;
}
inline long long __double_as_longlong(double a) {
  long long bits;
  std::memcpy(&bits, &a, sizeof bits);
  return bits;
}
inline double __longlong_as_double(long long bits) {
  double a;
  std::memcpy(&a, &bits, sizeof a);
  return a;
}
template <class T>
T __ldg(const T* place) {
  return *place;
}

// ---- for Python ---------------------------------------------------------------------------------------------------

#define EMULATION_EXPORT extern "C" __attribute__((visibility("default")))

EMULATION_EXPORT const char* emulation_problem() { return cuda_emulation::machine.problem.c_str(); }
EMULATION_EXPORT void emulation_seed(unsigned seed) { cuda_emulation::machine.seed = seed; }
EMULATION_EXPORT void emulation_shared_memory_limit(int bytes) { cuda_emulation::machine.shared_memory_limit = bytes; }
