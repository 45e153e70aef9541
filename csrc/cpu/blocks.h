// Matrix products in register blocks, and scratch memory, for one instruction set (see simd.h for how it is included).
//
// All products, forward, data gradient and weight gradient, run through one block (`multiply_add`) that broadcasts from
// its first factor and loads its second, so nothing is ever transposed. The sums of an entry run over the same numbers
// in the same order wherever it stands in a block: it has the same bits in any company.
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd.h"

#if defined(__clang__)
#define SYMFLOW_UNROLL _Pragma("unroll")
#else
#define SYMFLOW_UNROLL _Pragma("GCC unroll 32")
#endif
#define SYMFLOW_INLINE_LAMBDA __attribute__((always_inline))

namespace symflow {
namespace SYMFLOW_ISA {

using Index = std::int64_t;

// Rows of the register block: 6 x 2 accumulators, 2 loaded registers and 1 broadcast fit 16 registers, 12 x 2 fit 32.
constexpr int block_rows = SYMFLOW_SIMD_BYTES == 64 ? 12 : 6;

constexpr Index round_up(Index n, Index multiple) { return (n + multiple - 1) / multiple * multiple; }

template <class S, int rows>
struct Block {
  typename S::Value sum[rows][2];

  SYMFLOW_HD void set(typename S::Value left, typename S::Value right) {
    SYMFLOW_UNROLL
    for (int r = 0; r < rows; ++r) {
      sum[r][0] = left;
      sum[r][1] = right;
    }
  }
};

// block[r][c] += sum_k a[r a_row + k a_step] b[k b_step + c], c over one panel of two registers.
template <class S, int rows>
SYMFLOW_HD void multiply_add(Block<S, rows>& block, Index depth, const typename S::Scalar* a, Index a_row, Index a_step,
                             const typename S::Scalar* b, Index b_step) {
  Block<S, rows> sums = block;
  for (Index k = 0; k < depth; ++k) {
    const auto left = S::load(b), right = S::load(b + S::lanes);
    SYMFLOW_UNROLL
    for (int r = 0; r < rows; ++r) {
      const auto factor = S::set(a[r * a_row]);
      sums.sum[r][0] = S::fma(factor, left, sums.sum[r][0]);
      sums.sum[r][1] = S::fma(factor, right, sums.sum[r][1]);
    }
    a += a_step;
    b += b_step;
  }
  block = sums;
}

// Covers a [points, columns] result by blocks: `accumulate(block, p, c)` fills the block at point p and column c, and
// `finish(p, c, sum)` takes each of its registers. `points` and `columns` are whole numbers of blocks. A panel of the
// second factor stays in the first cache while all points pass.
template <class S, class Accumulate, class Finish>
SYMFLOW_HD void for_each_block(Index points, Index columns, Accumulate accumulate, Finish finish) {
  for (Index c = 0; c < columns; c += 2 * S::lanes) {
    for (Index p = 0; p < points; p += block_rows) {
      Block<S, block_rows> block;
      accumulate(block, p, c);
      SYMFLOW_UNROLL
      for (int r = 0; r < block_rows; ++r) {
        finish(p + r, c, block.sum[r][0]);
        finish(p + r, c + S::lanes, block.sum[r][1]);
      }
    }
  }
}

// The two factors of a sum of outer products: out[o][i] += sum_p g[o g_row + p g_step] h[p h_step + i].
template <class T>
struct Outer {
  const T *g, *h;
};

template <class S, int rows, int terms>
void outer_rows(const Outer<typename S::Scalar> (&factors)[terms], Index points, Index o, Index i, Index g_row,
                Index g_step, Index h_step, typename S::Scalar* out, Index out_row) {
  Block<S, rows> block;
  block.set(S::set(0), S::set(0));
  for (const auto& f : factors) {
    multiply_add<S, rows>(block, points, f.g + o * g_row, g_row, g_step, f.h + i, h_step);
  }
  SYMFLOW_UNROLL
  for (int r = 0; r < rows; ++r) {
    for (int half = 0; half < 2; ++half) {
      auto* p = out + (o + r) * out_row + i + half * S::lanes;
      S::store(p, S::load(p) + block.sum[r][half]);
    }
  }
}

template <class S, int rows, int terms>
void outer_tail(Index tail, const Outer<typename S::Scalar> (&factors)[terms], Index points, Index o, Index i,
                Index g_row, Index g_step, Index h_step, typename S::Scalar* out, Index out_row) {
  if constexpr (rows > 0) {
    if (tail == rows) {
      outer_rows<S, rows>(factors, points, o, i, g_row, g_step, h_step, out, out_row);
    } else {
      outer_tail<S, rows - 1>(tail, factors, points, o, i, g_row, g_step, h_step, out, out_row);
    }
  }
}

// The gradient of a weight, out [rows, columns]: the outer products of all factors, over all points. Their sum starts
// from zero: adding points one by one to a large sum would lose digits.
template <class S, int terms>
void add_outer(const Outer<typename S::Scalar> (&factors)[terms], Index points, Index rows, Index columns, Index g_row,
               Index g_step, Index h_step, typename S::Scalar* out) {
  for (Index i = 0; i < columns; i += 2 * S::lanes) {
    Index o = 0;
    for (; o + block_rows <= rows; o += block_rows) {
      outer_rows<S, block_rows>(factors, points, o, i, g_row, g_step, h_step, out, columns);
    }
    outer_tail<S, block_rows - 1>(rows - o, factors, points, o, i, g_row, g_step, h_step, out, columns);
  }
}

// out[i] += sum_p g[p][i].
template <class S>
void add_columns(Index points, Index columns, const typename S::Scalar* g, Index g_row, typename S::Scalar* out) {
  for (Index i = 0; i < columns; i += S::lanes) {
    auto sum = S::set(0);
    for (Index p = 0; p < points; ++p) sum = sum + S::load(g + p * g_row + i);
    S::store(out + i, S::load(out + i) + sum);
  }
}

// The sums of `count` registers, value(first), value(first + 1), ..., in consecutive lanes: pairs of registers are
// folded into one until one is left, which takes a third of the operations of summing each.
template <class S, int count, class Value>
SYMFLOW_HD typename S::Value lane_sums(const Value& value, Index first) {
  if constexpr (count == 1) {
    return value(first);
  } else {
    return S::template fold<S::lanes * 2 / count>(lane_sums<S, count / 2>(value, first),
                                                  lane_sums<S, count / 2>(value, first + count / 2));
  }
}

// out[j][p] = bias[j] + sum_o a[p][o] b[j][o] for few j: the narrow ends of the network, as inner products. `points` is
// a whole number of registers.
template <class S, int outputs>
void narrow_fixed(Index points, Index depth, const typename S::Scalar* a, Index a_row, const typename S::Scalar* b,
                  Index b_row, const typename S::Scalar* bias, typename S::Scalar* out, Index out_row) {
  for (Index p = 0; p < points; p += S::lanes) {
    for (int j = 0; j < outputs; ++j) {
      const auto product = [&](Index point) SYMFLOW_INLINE_LAMBDA {
        auto sum = S::set(0);
        for (Index o = 0; o < depth; o += S::lanes) {
          sum = S::fma(S::load(a + point * a_row + o), S::load(b + j * b_row + o), sum);
        }
        return sum;
      };
      S::store(out + j * out_row + p, S::set(bias[j]) + lane_sums<S, S::lanes>(product, p));
    }
  }
}

template <class S, int outputs>
void narrow(Index count, Index points, Index depth, const typename S::Scalar* a, Index a_row,
            const typename S::Scalar* b, Index b_row, const typename S::Scalar* bias, typename S::Scalar* out,
            Index out_row) {
  if constexpr (outputs > 0) {
    if (count == outputs) {
      narrow_fixed<S, outputs>(points, depth, a, a_row, b, b_row, bias, out, out_row);
    } else {
      narrow<S, outputs - 1>(count, points, depth, a, a_row, b, b_row, bias, out, out_row);
    }
  }
}

// Hands out aligned pieces of a buffer; from a null buffer it only measures.
struct Arena {
  char* base;
  Index used;

  template <class U>
  U* take(Index count) {
    U* piece = base == nullptr ? nullptr : reinterpret_cast<U*>(base + used);
    used += round_up(count * Index(sizeof(U)), 64);
    return piece;
  }
};

}  // namespace SYMFLOW_ISA
}  // namespace symflow
