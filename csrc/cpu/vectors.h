// Short vectors of any power-of-two length, and rows of numbers that become columns, for one instruction set (see
// simd.h for how it is included; the standard headers it needs come before the switch).
//
// Arithmetic on them is the plain one, product by product and sum by sum: a number has the same bits whatever the
// length of the vector that it is computed in.
#pragma once

#include <cstdint>
#include <utility>

#include "simd.h"

namespace symflow {
namespace SYMFLOW_ISA {

template <class T, int n>
struct Vector {
  typedef T Value __attribute__((vector_size(n * sizeof(T))));
  typedef typename Lanes<T>::Integer Integers __attribute__((vector_size(n * sizeof(T))));
};
template <class T>
struct Vector<T, 1> {
  using Value = T;
};
template <class T, int n>
using VectorOf = typename Vector<T, n>::Value;

template <class Value, class T>
SYMFLOW_HD Value load_vector(const T* p) {
  Value v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

template <class Value, class T>
SYMFLOW_HD void store_vector(T* p, const Value& v) {
  __builtin_memcpy(p, &v, sizeof v);
}

// The first `count` numbers only; the others are zeros, and are not touched in memory.
template <class Value, class T>
SYMFLOW_HD Value load_first(const T* p, std::int64_t count) {
  T numbers[sizeof(Value) / sizeof(T)] = {};
  for (std::int64_t i = 0; i < count; ++i) numbers[i] = p[i];
  return load_vector<Value>(numbers);
}

template <class Value, class T>
SYMFLOW_HD void store_first(T* p, const Value& v, std::int64_t count) {
  T numbers[sizeof(Value) / sizeof(T)];
  store_vector(numbers, v);
  for (std::int64_t i = 0; i < count; ++i) p[i] = numbers[i];
}

// (a0 b0 a1 b1 ...), its first half and its second.
template <class T, int n, int... i>
SYMFLOW_HD void interleave(const VectorOf<T, n>& a, const VectorOf<T, n>& b, VectorOf<T, n>& first,
                           VectorOf<T, n>& second, std::integer_sequence<int, i...>) {
#if defined(__clang__)
  first = __builtin_shufflevector(a, b, (i / 2 + i % 2 * n)...);
  second = __builtin_shufflevector(a, b, (n / 2 + i / 2 + i % 2 * n)...);
#else
  using Integers = typename Vector<T, n>::Integers;
  first = __builtin_shuffle(a, b, Integers{(i / 2 + i % 2 * n)...});
  second = __builtin_shuffle(a, b, Integers{(n / 2 + i / 2 + i % 2 * n)...});
#endif
}

// Rows of `n` numbers, one after the other, become columns: number r + rows c is what number c of row r was.
// Interleaving row r with row r + rows/2 moves the highest bit of the row's number behind the lowest bit of the
// column's; after as many rounds as there are bits it is all of the row's number that stands there. A square is
// transposed.
template <class T, int n, int rows>
SYMFLOW_HD void to_columns(VectorOf<T, n> (&all)[rows]) {
  if constexpr (rows > 1) {
    for (int round = rows; round > 1; round /= 2) {
      VectorOf<T, n> next[rows];
      for (int r = 0; r < rows / 2; ++r) {
        interleave<T, n>(all[r], all[r + rows / 2], next[2 * r], next[2 * r + 1], std::make_integer_sequence<int, n>());
      }
      for (int r = 0; r < rows; ++r) all[r] = next[r];
    }
  }
}

}  // namespace SYMFLOW_ISA
}  // namespace symflow
