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
//
// A pointer walks for every three rows, and the compiler must not find out that they are related: one pointer with an
// offset for every row takes more registers than there are, and what does not fit is fetched in every step.
template <class S, int rows>
SYMFLOW_HD void multiply_add(Block<S, rows>& block, Index depth, const typename S::Scalar* a, Index a_row, Index a_step,
                             const typename S::Scalar* b, Index b_step) {
  constexpr int group = 3, groups = (rows + group - 1) / group;
  const typename S::Scalar* at[groups];
  SYMFLOW_UNROLL
  for (int g = 0; g < groups; ++g) {
    at[g] = a + g * group * a_row;
    asm("" : "+r"(at[g]));
  }
  Block<S, rows> sums = block;
  for (Index k = 0; k < depth; ++k) {
    const auto left = S::load(b), right = S::load(b + S::lanes);
    SYMFLOW_UNROLL
    for (int r = 0; r < rows; ++r) {
      const auto factor = S::set(at[r / group][r % group * a_row]);
      sums.sum[r][0] = S::fma(factor, left, sums.sum[r][0]);
      sums.sum[r][1] = S::fma(factor, right, sums.sum[r][1]);
    }
    SYMFLOW_UNROLL
    for (int g = 0; g < groups; ++g) at[g] += a_step;
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

// `terms` of these, one after the other.
template <class S, int rows>
void outer_rows(const Outer<typename S::Scalar>* factors, int terms, Index points, Index o, Index i, Index g_row,
                Index g_step, Index h_step, typename S::Scalar* out, Index out_row) {
  Block<S, rows> block;
  block.set(S::set(0), S::set(0));
  for (int t = 0; t < terms; ++t) {
    multiply_add<S, rows>(block, points, factors[t].g + o * g_row, g_row, g_step, factors[t].h + i, h_step);
  }
  SYMFLOW_UNROLL
  for (int r = 0; r < rows; ++r) {
    for (int half = 0; half < 2; ++half) {
      auto* p = out + (o + r) * out_row + i + half * S::lanes;
      S::store(p, S::load(p) + block.sum[r][half]);
    }
  }
}

template <class S, int rows>
void outer_tail(Index tail, const Outer<typename S::Scalar>* factors, int terms, Index points, Index o, Index i,
                Index g_row, Index g_step, Index h_step, typename S::Scalar* out, Index out_row) {
  if constexpr (rows > 0) {
    if (tail == rows) {
      outer_rows<S, rows>(factors, terms, points, o, i, g_row, g_step, h_step, out, out_row);
    } else {
      outer_tail<S, rows - 1>(tail, factors, terms, points, o, i, g_row, g_step, h_step, out, out_row);
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
      outer_rows<S, block_rows>(factors, terms, points, o, i, g_row, g_step, h_step, out, columns);
    }
    outer_tail<S, block_rows - 1>(rows - o, factors, terms, points, o, i, g_row, g_step, h_step, out, columns);
  }
}

// Sums of many terms run in this many chains at once: one alone would wait for each of its additions.
constexpr int chains = 4;

// out[i] += sum_p g[p][i].
template <class S>
void add_columns(Index points, Index columns, const typename S::Scalar* g, Index g_row, typename S::Scalar* out) {
  for (Index i = 0; i < columns; i += S::lanes) {
    typename S::Value sum[chains];
    SYMFLOW_UNROLL
    for (int c = 0; c < chains; ++c) sum[c] = S::set(0);
    Index p = 0;
    for (; p + chains <= points; p += chains) {
      SYMFLOW_UNROLL
      for (int c = 0; c < chains; ++c) sum[c] = sum[c] + S::load(g + (p + c) * g_row + i);
    }
    for (; p < points; ++p) sum[0] = sum[0] + S::load(g + p * g_row + i);
    S::store(out + i, S::load(out + i) + ((sum[0] + sum[1]) + (sum[2] + sum[3])));
  }
}

// sum_p a[p step]
template <class T>
T sum_of(Index count, const T* a, Index step) {
  T sum[chains] = {};
  Index p = 0;
  for (; p + chains <= count; p += chains) {
    SYMFLOW_UNROLL
    for (int c = 0; c < chains; ++c) sum[c] += a[(p + c) * step];
  }
  for (; p < count; ++p) sum[0] += a[p * step];
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

// The sums of `count` registers, each of its lanes, in consecutive lanes: pairs of registers are folded into one until
// one is left, which takes a third of the operations of summing each.
template <class S, int count>
SYMFLOW_HD typename S::Value lane_sums(const typename S::Value* value) {
  if constexpr (count == 1) {
    return value[0];
  } else {
    return S::template fold<S::lanes * 2 / count>(lane_sums<S, count / 2>(value),
                                                  lane_sums<S, count / 2>(value + count / 2));
  }
}

// out[j][p] = bias[j] + sum_o a[p][o] b[j][o] for few j: the narrow ends of the network, as inner products. `points` is
// a whole number of registers.
template <class S>
void narrow(Index outputs, Index points, Index depth, const typename S::Scalar* a, Index a_row,
            const typename S::Scalar* b, Index b_row, const typename S::Scalar* bias, typename S::Scalar* out,
            Index out_row) {
  for (Index p = 0; p < points; p += S::lanes) {
    for (Index j = 0; j < outputs; ++j) {
      typename S::Value sum[S::lanes];
      SYMFLOW_UNROLL
      for (int i = 0; i < S::lanes; ++i) sum[i] = S::set(0);
      for (Index o = 0; o < depth; o += S::lanes) {
        const auto factor = S::load(b + j * b_row + o);
        SYMFLOW_UNROLL
        for (int i = 0; i < S::lanes; ++i) sum[i] = S::fma(S::load(a + (p + i) * a_row + o), factor, sum[i]);
      }
      S::store(out + j * out_row + p, S::set(bias[j]) + lane_sums<S, S::lanes>(sum));
    }
  }
}

// finish(p, o, sum_j a[j][p] b[j][o]) for every point p and register of columns o, for 1 to `most` rows j: the adjoint
// of `narrow`.
template <class S, int most, class Finish>
SYMFLOW_HD void widen(Index rows, Index points, Index columns, const typename S::Scalar* a, Index a_row,
                      const typename S::Scalar* b, Index b_row, const Finish& finish) {
  if constexpr (most > 1) {
    if (rows < most) return widen<S, most - 1>(rows, points, columns, a, a_row, b, b_row, finish);
  }
  for (Index o = 0; o < columns; o += S::lanes) {
    typename S::Value row[most];
    for (int j = 0; j < most; ++j) row[j] = S::load(b + j * b_row + o);
    for (Index p = 0; p < points; ++p) {
      auto sum = S::set(a[p]) * row[0];
      for (int j = 1; j < most; ++j) sum = S::fma(S::set(a[j * a_row + p]), row[j], sum);
      finish(p, o, sum);
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
