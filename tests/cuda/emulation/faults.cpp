// Kernels with one fault each, and their faultless twins: what the emulation must find and what it must let pass.
#include "cuda/device.h"

using namespace symflow;

namespace {

// Sums over 64 threads by a tree, with or without the barrier between its levels.
template <bool barrier>
__global__ void tree_sum(const float* x, float* sum) {
  float* shared = shared_memory<float>();
  const unsigned i = threadIdx.x;
  shared[i] = x[blockIdx.x * 64 + i];
  for (unsigned half = 32; half > 0; half /= 2) {
    if (barrier) __syncthreads();
    if (i < half) shared[i] += shared[i + half];
  }
  if (i == 0) sum[blockIdx.x] = shared[0];
}

__global__ void write_behind(std::int64_t behind) {
  unsigned char* shared = shared_memory<unsigned char>();
  if (threadIdx.x == 0) shared[behind] = 1;
}

__global__ void read_unwritten(float* out) { *out = shared_memory<float>()[0]; }

__global__ void barrier_for_some(std::int64_t some) {
  if (threadIdx.x < some) __syncthreads();
}

__global__ void two_barriers(std::int64_t some) {
  if (threadIdx.x < some) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}

__global__ void shuffle_for_some(std::int64_t some) {
  if (threadIdx.x < some) __shfl_xor_sync(whole_warp, 1, 1);
}

// Every lane's value from every operation there is; out [6][64].
__global__ void warp_operations(const float* x, float* out) {
  const int i = int(threadIdx.x), lane = i % warp_size;
  float v = x[i];
  out[i] = __shfl_sync(whole_warp, v, (lane + 5) % warp_size);
  out[64 + i] = __shfl_down_sync(whole_warp, v, 3);
  out[128 + i] = __shfl_up_sync(whole_warp, v, 3);
  for (int step = 1; step < warp_size; step *= 2) v += __shfl_xor_sync(whole_warp, v, step);
  out[192 + i] = v;
  out[256 + i] = float(__ballot_sync(whole_warp, lane % 2) & 0xFFu);
  __syncwarp();
  out[320 + i] = __shfl_sync(whole_warp, x[i], 2, 8);
}

// The last block to arrive, whichever it is, sees that all have.
__global__ void last_block(int* arrived, int* last) {
  __threadfence();
  if (threadIdx.x == 0 && atomicAdd(arrived, 1) + 1 == int(gridDim.x)) *last = int(gridDim.x);
}

}  // namespace

EMULATION_EXPORT int tree(const float* x, std::int64_t blocks, float* sum, std::int64_t with_barrier) {
  return launch(with_barrier ? tree_sum<true> : tree_sum<false>, unsigned(blocks), 64, 64 * sizeof(float), nullptr, x,
                sum);
}
EMULATION_EXPORT int overrun(std::int64_t at) { return launch(write_behind, 1, 32, 100, nullptr, at); }
EMULATION_EXPORT int unwritten(float* out) { return launch(read_unwritten, 1, 1, 4, nullptr, out); }
EMULATION_EXPORT int divergence(std::int64_t some) { return launch(barrier_for_some, 1, 64, 0, nullptr, some); }
EMULATION_EXPORT int different(std::int64_t some) { return launch(two_barriers, 1, 64, 0, nullptr, some); }
EMULATION_EXPORT int shuffle(std::int64_t some) { return launch(shuffle_for_some, 1, 64, 0, nullptr, some); }
EMULATION_EXPORT int operations(const float* x, float* out) {
  return launch(warp_operations, 1, 64, 0, nullptr, x, out);
}
EMULATION_EXPORT int last(int* arrived, int* out) { return launch(last_block, 7, 32, 0, nullptr, arrived, out); }
EMULATION_EXPORT int much_memory(std::int64_t bytes) {
  return launch(barrier_for_some, 1, 32, std::size_t(bytes), nullptr, std::int64_t(32));
}
