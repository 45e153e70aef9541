// symflow::etdrk4, from tensors to pointers.
#include <torch/csrc/stable/library.h>

#include <algorithm>
#include <vector>

#include "../cpu/etdrk4_cpu.h"
#include "glue.h"

namespace symflow {
namespace {

constexpr const char* op = "symflow::etdrk4";

// The number of points must be one that the transforms know, and leave the modes room.
bool transformable(std::int64_t points, std::int64_t modes) {
  if (points < 2 || points % 2 != 0 || modes > points / 2) return false;
  for (const std::int64_t prime : {2, 3, 5}) {
    while (points % prime == 0) points /= prime;
  }
  return points == 1;
}

Tensor etdrk4_op(const Tensor& v, const Tensor& weights, const Tensor& table, const Tensor& steps,
                 const Tensor& density, const Tensor& multipliers, const Tensor& factors, const Tensor& roots) {
  STD_TORCH_CHECK(v.dim() == 3 && v.size(1) >= 1, op, ": `v` must have shape [rows, modes, 2]");
  STD_TORCH_CHECK(weights.dim() == 4, op, ": `weights` must have shape [tables, 9, modes, 2]");
  STD_TORCH_CHECK(density.dim() == 1 && density.size(0) >= 1, op, ": `density` must have shape [degree + 1]");
  STD_TORCH_CHECK(multipliers.dim() == 3 && multipliers.size(0) >= 1, op,
                  ": `multipliers` must have shape [1 + terms, modes, 2]");
  STD_TORCH_CHECK(factors.dim() == 3, op, ": `factors` must have shape [rows, stages, 1 + terms]");
  STD_TORCH_CHECK(roots.dim() == 2, op, ": `roots` must have shape [points, 2]");
  const std::int64_t rows = v.size(0), modes = v.size(1), tables = weights.size(0), own = multipliers.size(0);
  const std::int64_t points = roots.size(0), stages = factors.size(1);
  STD_TORCH_CHECK(transformable(points, modes), op, ": the points must be an even product of 2, 3 and 5, and at least ",
                  2 * modes, ", got ", points);
  check_tensor(op, "v", v, ScalarType::Double, {rows, modes, 2});
  check_tensor(op, "weights", weights, ScalarType::Double, {tables, etdrk4_weights, modes, 2});
  check_tensor(op, "table", table, ScalarType::Long, {rows});
  check_tensor(op, "steps", steps, ScalarType::Long, {rows});
  check_tensor(op, "density", density, ScalarType::Double, {density.size(0)});
  check_tensor(op, "multipliers", multipliers, ScalarType::Double, {own, modes, 2});
  check_tensor(op, "factors", factors, ScalarType::Double, {rows, stages, own});
  check_tensor(op, "roots", roots, ScalarType::Double, {points, 2});
  const std::int64_t *tables_of = read<std::int64_t>(table), *steps_of = read<std::int64_t>(steps);
  for (std::int64_t i = 0; i < rows; ++i) {
    STD_TORCH_CHECK(tables_of[i] >= 0 && tables_of[i] < tables, op, ": `table` must be from 0 to ", tables - 1);
    STD_TORCH_CHECK(steps_of[i] >= 0 && (i == 0 || steps_of[i] <= steps_of[i - 1]), op,
                    ": `steps` must not rise from row to row");
  }
  STD_TORCH_CHECK(rows == 0 || stages == 0 || stages > 2 * steps_of[0], op,
                  ": `factors` must hold every stage, or none");
  const Tensor out = torch::stable::empty_like(v);
  const Etdrk4 problem = {rows,
                          modes,
                          points,
                          density.size(0) - 1,
                          own - 1,
                          stages,
                          read<double>(weights),
                          tables_of,
                          steps_of,
                          read<double>(density),
                          read<double>(multipliers),
                          stages == 0 ? nullptr : read<double>(factors),
                          read<double>(roots),
                          read<double>(v),
                          write<double>(out)};
  if (rows > 0) SYMFLOW_SELECT(etdrk4_kernel)(problem);
  return out;
}

}  // namespace
}  // namespace symflow

STABLE_TORCH_LIBRARY_IMPL(symflow, CPU, m) { m.impl("etdrk4", TORCH_BOX(&symflow::etdrk4_op)); }
