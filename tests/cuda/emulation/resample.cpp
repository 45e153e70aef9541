#include "cuda/resample_cuda.cu"

using symflow::FineGrid;

EMULATION_EXPORT int scatter_spread(std::int64_t rows, std::int64_t columns, std::int64_t terms, const double* window,
                                    const double* points, std::int64_t count, double* table) {
  return symflow::scatter_spread_cuda({rows, 2, columns, terms, window}, points, count, table, nullptr);
}
EMULATION_EXPORT int scatter_read(std::int64_t rows, std::int64_t columns, std::int64_t terms, const double* window,
                                  const double* points, std::int64_t count, const double* grad_table,
                                  double* grad_points) {
  const FineGrid grid = {rows, 2, columns, terms, window};
  return symflow::scatter_read_cuda(grid, points, count, grad_table, grad_points, nullptr);
}
EMULATION_EXPORT int resample_solve(std::int64_t rows, std::int64_t columns, std::int64_t terms, const double* window,
                                    const double* moved, const double* table, double* values, double* sources) {
  const FineGrid grid = {rows, symflow::moved_fields, columns, terms, window};
  return symflow::resample_solve_cuda(grid, moved, table, values, sources, nullptr);
}
EMULATION_EXPORT int resample_transpose(std::int64_t rows, std::int64_t columns, std::int64_t terms,
                                        const double* window, const double* table, const double* sources,
                                        const double* grad_values, double* amounts, double* grad_table) {
  const FineGrid grid = {rows, symflow::moved_fields, columns, terms, window};
  return symflow::resample_transpose_cuda(grid, table, sources, grad_values, amounts, grad_table, nullptr);
}
