// Products of small matrices by a block of 256 threads: sums in registers, factors in shared memory.
//
// The block's eight warps stand in two rows and four columns. Each holds a Fragment: m_tiles x n_tiles tiles of 16 x 8
// sums, spread over its lanes as the tensor cores want it (see mma.h); plain arithmetic uses the same places, so that
// what happens to a sum before and after a product is written once. The terms of a sum are added in the order of k
// wherever the sum stands: a row's results do not depend on the other rows.
#pragma once

#include <cuda_pipeline_primitives.h>

#include "device.h"
#include "mma.h"

namespace symflow {
namespace gpu {

constexpr int block_threads = 256;
constexpr int warps_m = 2, warps_n = 4;

// A thread of the block, its lane and the place of its warp.
struct Lane {
  int thread;

  SYMFLOW_DEVICE int group() const { return thread % warp_size / 4; }
  SYMFLOW_DEVICE int pair() const { return thread % 4; }
  SYMFLOW_DEVICE int warp_row() const { return thread / warp_size / warps_n; }
  SYMFLOW_DEVICE int warp_column() const { return thread / warp_size % warps_n; }
};

// The compiler must take the number for a new one each time. All addresses follow from it, and would otherwise be kept
// in registers from one use to the next, through all products in between.
SYMFLOW_DEVICE Lane this_lane() {
  int thread = int(threadIdx.x);
#if defined(__CUDACC__)
  asm volatile("" : "+r"(thread));
#endif
  return {thread};
}

// The sums of a [rows, columns] matrix that a thread holds.
template <class T, int m_tiles, int n_tiles>
struct Fragment {
  static constexpr int rows = warps_m * 16 * m_tiles, columns = warps_n * 8 * n_tiles;
  T sum[m_tiles][n_tiles][4];

  // The first of the thread's two rows in the m-th tile, 8 rows apart, and the first column of the n-th tile.
  SYMFLOW_DEVICE static int row(Lane lane, int m) { return (lane.warp_row() * m_tiles + m) * 16 + lane.group(); }
  SYMFLOW_DEVICE static int column(Lane lane, int n) { return (lane.warp_column() * n_tiles + n) * 8; }

  // body(row, column, left, right) for each pair of neighbours, at `column` and `column + 1`.
  template <class Body>
  SYMFLOW_DEVICE void for_each_pair(const Body& body) {
    const Lane lane = this_lane();
#pragma unroll
    for (int n = 0; n < n_tiles; ++n) {
#pragma unroll
      for (int m = 0; m < m_tiles; ++m) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          body(row(lane, m) + 8 * half, column(lane, n) + 2 * lane.pair(), sum[m][n][2 * half],
               sum[m][n][2 * half + 1]);
        }
      }
    }
  }

  SYMFLOW_DEVICE void clear() {
    for_each_pair([](int, int, T& left, T& right) { left = right = T(0); });
  }
};

// Two neighbours in memory as one access.
template <class T>
struct alignas(2 * sizeof(T)) Pair {
  T first, second;
};

template <class T>
SYMFLOW_DEVICE Pair<T> load_pair(const T* p) {
  return *reinterpret_cast<const Pair<T>*>(p);
}
template <class T>
SYMFLOW_DEVICE void store_pair(T* p, T first, T second) {
  *reinterpret_cast<Pair<T>*>(p) = {first, second};
}

// A factor of a product. Its element (i, k), of row (or column) i and summation index k, is data[i stride + k] where k
// runs along the memory, and data[k stride + i] where it runs across.
template <class T, bool k_along>
struct Factor {
  static constexpr bool along = k_along;
  const T* data;
  int stride;

  SYMFLOW_DEVICE T at(int i, int k) const { return data[along ? i * stride + k : k * stride + i]; }

  // The elements at k and k + step; neighbours along the memory must be aligned as a pair.
  template <int step>
  SYMFLOW_DEVICE Pair<T> at_both(int i, int k) const {
    if constexpr (along && step == 1) {
      return load_pair(data + i * stride + k);
    } else {
      return {at(i, k), at(i, k + step)};
    }
  }
};
template <class T>
using Along = Factor<T, true>;
template <class T>
using Across = Factor<T, false>;

// ---- three ways to multiply: sum(r, c) += sum_{k < depth} a(r, k) b(c, k) ------------------------------------------
//
// `kept` is applied to every number that is stored to become a factor later.

// By fused multiply-adds.
template <class Scalar>
struct Fma {
  using T = Scalar;
  SYMFLOW_DEVICE static T kept(T x) { return x; }

  template <int m_tiles, int n_tiles, class A, class B>
  SYMFLOW_DEVICE static void multiply(Fragment<T, m_tiles, n_tiles>& sums, const A& a, const B& b, int depth) {
    const Lane lane = this_lane();
    for (int k = 0; k < depth; ++k) {
      T left[m_tiles][2];
#pragma unroll
      for (int m = 0; m < m_tiles; ++m) {
        left[m][0] = a.at(sums.row(lane, m), k);
        left[m][1] = a.at(sums.row(lane, m) + 8, k);
      }
#pragma unroll
      for (int n = 0; n < n_tiles; ++n) {
        const int c = sums.column(lane, n) + 2 * lane.pair();
        const T right[2] = {b.at(c, k), b.at(c + 1, k)};
#pragma unroll
        for (int m = 0; m < m_tiles; ++m) {
#pragma unroll
          for (int i = 0; i < 4; ++i) {
            sums.sum[m][n][i] = Thread<T>::fma(left[m][i / 2], right[i % 2], sums.sum[m][n][i]);
          }
        }
      }
    }
  }
};

// The two k of a lane in a step of 8 may be any two, if both factors agree: neighbours where one of them can then be
// loaded in pairs, else 4 apart, which spreads the accesses over all banks of shared memory.
template <class A, class B>
constexpr int lane_step = A::along || B::along ? 1 : 4;

// The four numbers of the first factor that a lane holds of the tile at `row`, in the order of mma.h.
template <int step, class A>
SYMFLOW_DEVICE void load_left(const A& a, int row, int k, float (&left)[4]) {
  const auto top = a.template at_both<step>(row, k), bottom = a.template at_both<step>(row + 8, k);
  left[0] = top.first, left[1] = bottom.first, left[2] = top.second, left[3] = bottom.second;
}

// By tensor cores in TF32. The factors have been rounded when they were stored.
struct Tf32 {
  using T = float;
  SYMFLOW_DEVICE static float kept(float x) { return nearest_tf32(x); }

  template <int m_tiles, int n_tiles, class A, class B>
  SYMFLOW_DEVICE static void multiply(Fragment<float, m_tiles, n_tiles>& sums, const A& a, const B& b, int depth) {
    constexpr int step = lane_step<A, B>;
    const Lane lane = this_lane();
#pragma unroll 2
    for (int first = 0; first < depth; first += 8) {
      const int k = first + lane.pair() * (step == 1 ? 2 : 1);
      float left[m_tiles][4];
#pragma unroll
      for (int m = 0; m < m_tiles; ++m) load_left<step>(a, sums.row(lane, m), k, left[m]);
#pragma unroll
      for (int n = 0; n < n_tiles; ++n) {
        const auto both = b.template at_both<step>(sums.column(lane, n) + lane.group(), k);
        const float right[2] = {both.first, both.second};
#pragma unroll
        for (int m = 0; m < m_tiles; ++m) mma_tf32(sums.sum[m][n], left[m], right);
      }
    }
  }
};

// x = high + low, each in TF32, to 2^-23 |x|.
struct Split {
  float high, low;
};
SYMFLOW_DEVICE Split split(float x) {
  const float high = nearest_tf32(x);
  return {high, nearest_tf32(x - high)};
}

// By tensor cores, each factor split into two TF32 numbers of which the product of the low ones is left out: a product
// is right to 2^-21 of its size. Tensor cores cut off when they add, so that long sums in them would drift: only 8
// terms are, and those sums are added by rounding arithmetic (Ootomo and Yokota 2022).
struct SplitTf32 {
  using T = float;
  SYMFLOW_DEVICE static float kept(float x) { return x; }

  template <int m_tiles, int n_tiles, class A, class B>
  SYMFLOW_DEVICE static void multiply(Fragment<float, m_tiles, n_tiles>& sums, const A& a, const B& b, int depth) {
    constexpr int step = lane_step<A, B>;
    const Lane lane = this_lane();
#pragma unroll 1
    for (int first = 0; first < depth; first += 8) {
      const int k = first + lane.pair() * (step == 1 ? 2 : 1);
      float high[m_tiles][4], low[m_tiles][4];
#pragma unroll
      for (int m = 0; m < m_tiles; ++m) {
        float left[4];
        load_left<step>(a, sums.row(lane, m), k, left);
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const Split parts = split(left[i]);
          high[m][i] = parts.high, low[m][i] = parts.low;
        }
      }
#pragma unroll
      for (int n = 0; n < n_tiles; ++n) {
        const auto both = b.template at_both<step>(sums.column(lane, n) + lane.group(), k);
        const Split one = split(both.first), other = split(both.second);
        const float right_high[2] = {one.high, other.high}, right_low[2] = {one.low, other.low};
#pragma unroll
        for (int m = 0; m < m_tiles; ++m) {
          float terms[4] = {0, 0, 0, 0};
          mma_tf32(terms, low[m], right_high);
          mma_tf32(terms, high[m], right_low);
          mma_tf32(terms, high[m], right_high);
#pragma unroll
          for (int i = 0; i < 4; ++i) sums.sum[m][n][i] += terms[i];
        }
      }
    }
  }
};

// ---- products with weights, which stream from global memory through a small part of shared memory -----------------
//
// The sum index runs in chunks; while one is used the next is on its way into the other half of `staging`. All threads
// of the block must call, and when they return every one has finished reading both factors.

template <int chunk, class Load, class Use>
SYMFLOW_DEVICE void stream(int depth, const Load& load, const Use& use) {
  load(0, 0);
  __pipeline_commit();
#pragma unroll 1
  for (int k = 0, half = 0; k < depth; k += chunk, half = 1 - half) {
    __pipeline_wait_prior(0);
    __syncthreads();  // this chunk has arrived for all, and all have finished with the other half
    if (k + chunk < depth) {
      load(k + chunk, 1 - half);
      __pipeline_commit();
    }
    use(k, half);
  }
  __syncthreads();
}

template <class T>
constexpr int copy_length = 16 / int(sizeof(T));  // numbers per asynchronous copy

// sums(p, o) += sum_i a(p, i) weights[o][i], a [p][i] in shared memory. `chunk` numbers of i are staged as
// [chunk / 8][outputs][8], which lanes read in pairs without conflicts. `depth` is a multiple of `chunk`.
template <class Products, int chunk, int m_tiles, int n_tiles>
SYMFLOW_DEVICE void multiply_weights(Fragment<typename Products::T, m_tiles, n_tiles>& sums,
                                     const Along<typename Products::T>& a, const typename Products::T* weights,
                                     int depth, typename Products::T* staging) {
  using T = typename Products::T;
  constexpr int outputs = Fragment<T, m_tiles, n_tiles>::columns, copies = 8 / copy_length<T>;
  stream<chunk>(
      depth,
      [&](int first, int half) {
        for (int i = this_lane().thread; i < chunk / 8 * outputs * copies; i += block_threads) {
          const int part = i % copies * copy_length<T>, o = i / copies % outputs, eight = i / copies / outputs;
          __pipeline_memcpy_async(staging + half * chunk * outputs + (eight * outputs + o) * 8 + part,
                                  weights + o * depth + first + eight * 8 + part, 16);
        }
      },
      [&](int first, int half) {
#pragma unroll 1
        for (int eight = 0; eight < chunk / 8; ++eight) {
          Products::multiply(sums, Along<T>{a.data + first + eight * 8, a.stride},
                             Along<T>{staging + half * chunk * outputs + eight * outputs * 8, 8}, 8);
        }
      });
}

// sums(p, i) += sum_o g(p, o) weights[o][i], g [p][o] in shared memory. `chunk` rows are staged with 4 numbers between
// them, again against conflicts.
template <class Products, int chunk, int m_tiles, int n_tiles>
SYMFLOW_DEVICE void multiply_weights_transposed(Fragment<typename Products::T, m_tiles, n_tiles>& sums,
                                                const Along<typename Products::T>& g,
                                                const typename Products::T* weights, int depth,
                                                typename Products::T* staging) {
  using T = typename Products::T;
  constexpr int inputs = Fragment<T, m_tiles, n_tiles>::columns, stride = inputs + 4;
  constexpr int copies = inputs / copy_length<T>;
  stream<chunk>(
      depth,
      [&](int first, int half) {
        for (int i = this_lane().thread; i < chunk * copies; i += block_threads) {
          const int part = i % copies * copy_length<T>, o = i / copies;
          __pipeline_memcpy_async(staging + (half * chunk + o) * stride + part, weights + (first + o) * inputs + part,
                                  16);
        }
      },
      [&](int first, int half) {
        Products::multiply(sums, Along<T>{g.data + first, g.stride}, Across<T>{staging + half * chunk * stride, stride},
                           chunk);
      });
}

// The numbers that the staging of both needs.
constexpr int staging_size(int chunk, int width) { return 2 * chunk * (width + 4); }

}  // namespace gpu
}  // namespace symflow
