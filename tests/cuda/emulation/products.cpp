// C = A B^T for [64, 40] matrices A and B, by every way to multiply and for every layout of the factors.
#include "cuda/products.h"

using namespace symflow;
using namespace symflow::gpu;

namespace {

constexpr int rows = 64, depth = 40;

template <class Products>
struct Case {
  using T = typename Products::T;
  using Sums = Fragment<T, 2, 2>;

  static void store(Sums& sums, T* c) {
    sums.for_each_pair([&](int r, int column, T& left, T& right) { store_pair(c + r * rows + column, left, right); });
  }

  // From global memory, where there are no banks.
  template <bool a_along, bool b_along>
  static __global__ void plain(const T* a, const T* b, T* c) {
    Sums sums;
    sums.clear();
    Products::multiply(sums, Factor<T, a_along>{a, a_along ? depth : rows},
                       Factor<T, b_along>{b, b_along ? depth : rows}, depth);
    store(sums, c);
  }

  template <bool transposed>
  static __global__ void weights(const T* a, const T* b, T* c) {
    T* shared = shared_memory<T>();
    T* staging = shared + rows * depth;
    for (int i = this_lane().thread; i < rows * depth; i += block_threads) shared[i] = a[i];
    Sums sums;
    sums.clear();
    if constexpr (transposed) {
      multiply_weights_transposed<Products, 8>(sums, Along<T>{shared, depth}, b, depth, staging);
    } else {
      multiply_weights<Products, 8>(sums, Along<T>{shared, depth}, b, depth, staging);
    }
    store(sums, c);
  }

  static int run(void (*kernel)(const T*, const T*, T*), const T* a, const T* b, T* c) {
    return launch(kernel, 1, block_threads, (rows * depth + staging_size(8, rows)) * sizeof(T), nullptr, a, b, c);
  }
};

}  // namespace

#define EXPORT_PRODUCTS(name, Products, T)                                       \
  EMULATION_EXPORT int name##_along_along(const T* a, const T* b, T* c) {        \
    return Case<Products>::run(Case<Products>::plain<true, true>, a, b, c);      \
  }                                                                              \
  EMULATION_EXPORT int name##_along_across(const T* a, const T* b, T* c) {       \
    return Case<Products>::run(Case<Products>::plain<true, false>, a, b, c);     \
  }                                                                              \
  EMULATION_EXPORT int name##_across_across(const T* a, const T* b, T* c) {      \
    return Case<Products>::run(Case<Products>::plain<false, false>, a, b, c);    \
  }                                                                              \
  EMULATION_EXPORT int name##_weights(const T* a, const T* b, T* c) {            \
    return Case<Products>::run(Case<Products>::weights<false>, a, b, c);         \
  }                                                                              \
  EMULATION_EXPORT int name##_weights_transposed(const T* a, const T* b, T* c) { \
    return Case<Products>::run(Case<Products>::weights<true>, a, b, c);          \
  }
EXPORT_PRODUCTS(fma_double, Fma<double>, double)
EXPORT_PRODUCTS(split, SplitTf32, float)
EXPORT_PRODUCTS(tf32, Tf32, float)
