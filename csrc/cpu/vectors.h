// Short vectors of any power-of-two length, and the transpose of a square of numbers, for one instruction set (see
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

// rows[r][c] and rows[c][r] change places. Interleaving row r with row r + n/2 moves the highest bit of the row's
// number to the lowest bit of the column's; after as many rounds as there are bits the two numbers have changed places.
template <class T, int n>
SYMFLOW_HD void transpose(VectorOf<T, n> (&rows)[n]) {
  if constexpr (n > 1) {
    for (int round = n; round > 1; round /= 2) {
      VectorOf<T, n> next[n];
      for (int r = 0; r < n / 2; ++r) {
        interleave<T, n>(rows[r], rows[r + n / 2], next[2 * r], next[2 * r + 1], std::make_integer_sequence<int, n>());
      }
      for (int r = 0; r < n; ++r) rows[r] = next[r];
    }
  }
}

}  // namespace SYMFLOW_ISA
}  // namespace symflow
