// The algebra of truncated Taylor polynomials (jets) as lists of multiply-adds.
//
// A jet is its coefficients a[0 .. C), the first that of the constant monomial. Which monomials multiply to which is a
// table of products; from it the lists are made once.
#pragma once

#include <cstdint>

namespace symflow {

constexpr int max_degree = 5;
constexpr int max_monomials = 56;  // three unknowns to degree 5
constexpr int max_products = 462;

// out[target] = left[from] right[with], added to what is there unless it begins a sum.
struct MultiplyAdd {
  std::int16_t target, from, with, begins;
};

struct Product {
  std::int64_t left, right, result;  // indices of monomials, left times right is result
};

// The multiply-adds are in an order in which they can run in place.
//   compose  out = y, left = y, right = a: y (a - a_0) from the highest degree down; those of degree at most n begin at
//            compose_begin[n]
//   adjoint  out = g, left = f, right = g: the transpose of the product with f, from the lowest degree up
struct JetAlgebra {
  int size, degree, compose_count, adjoint_count;
  int compose_begin[max_degree + 1];
  MultiplyAdd compose[max_products], adjoint[max_products + max_monomials];
};

// The degree of a monomial is the most factors it has, so the table of products tells it. `count` products of `size`
// monomials, all in range; degree is above max_degree, and the lists empty, where they do not fit.
constexpr JetAlgebra make_algebra(const Product* products, int count, int size) {
  JetAlgebra algebra{};
  algebra.size = size;
  int degree[max_monomials] = {};
  for (int k = 1; k < size; ++k) degree[k] = 1;
  for (int pass = 0; pass <= max_degree; ++pass) {
    for (int n = 0; n < count; ++n) {
      const Product p = products[n];
      const int sum = degree[p.left] + degree[p.right];
      if (p.left != 0 && p.right != 0 && sum > degree[p.result]) degree[p.result] = sum;
    }
  }
  for (int k = 0; k < size; ++k) algebra.degree = degree[k] > algebra.degree ? degree[k] : algebra.degree;
  if (algebra.degree > max_degree) return algebra;

  const auto append = [](MultiplyAdd* list, int& length, int begin, std::int64_t target, std::int64_t from,
                         std::int64_t with) {
    list[length] = {std::int16_t(target), std::int16_t(from), std::int16_t(with), std::int16_t(length == begin)};
    ++length;
  };
  for (int d = algebra.degree; d > 0; --d) {
    algebra.compose_begin[d] = algebra.compose_count;
    for (int k = 0; k < size; ++k) {
      const int begin = algebra.compose_count;
      for (int n = 0; n < count && degree[k] == d; ++n) {
        const Product p = products[n];
        if (p.result != k || p.right == 0) continue;
        append(algebra.compose, algebra.compose_count, begin, k, p.left, p.right);
      }
    }
  }
  for (int d = 0; d <= algebra.degree; ++d) {
    for (int j = 0; j < size; ++j) {
      if (degree[j] != d) continue;
      const int begin = algebra.adjoint_count;
      append(algebra.adjoint, algebra.adjoint_count, begin, j, 0, j);
      for (int n = 0; n < count; ++n) {
        const Product p = products[n];
        if (p.right != j || p.left == 0) continue;
        append(algebra.adjoint, algebra.adjoint_count, begin, j, p.left, p.result);
      }
    }
  }
  return algebra;
}

// The monomials s^i r^j of degree i + j <= order, in the order of `symflow.series.total_degree`.
constexpr JetAlgebra total_degree(int order) {
  const auto place = [](int s, int r) { return (s + r) * (s + r + 1) / 2 + r; };
  Product products[max_products] = {};
  int count = 0;
  for (int n = 0; n <= order; ++n) {
    for (int r = 0; r <= n; ++r) {
      for (int m = 0; m + n <= order; ++m) {
        for (int q = 0; q <= m; ++q)
          products[count++] = {place(n - r, r), place(m - q, q), place(n - r + m - q, r + q)};
      }
    }
  }
  return make_algebra(products, count, (order + 1) * (order + 2) / 2);
}

constexpr bool operator==(const MultiplyAdd& a, const MultiplyAdd& b) {
  return a.target == b.target && a.from == b.from && a.with == b.with && a.begins == b.begins;
}

inline bool operator==(const JetAlgebra& a, const JetAlgebra& b) {
  bool same = a.size == b.size && a.compose_count == b.compose_count && a.adjoint_count == b.adjoint_count;
  for (int n = 0; same && n < a.compose_count; ++n) same = a.compose[n] == b.compose[n];
  for (int n = 0; same && n < a.adjoint_count; ++n) same = a.adjoint[n] == b.adjoint[n];
  return same;
}

}  // namespace symflow
