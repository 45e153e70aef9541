// Resampling on the GPU: the launchers of what resample_cpu.h does on the CPU. One trajectory at a time; float64.
// Layouts and units are those of core/resample.h. Every number of a table is summed by one thread, over the points in
// their order: the same bits on every run.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "../core/resample.h"

namespace symflow {

// Adds u and 1 of every point [count, 3] = (column, row, u) to a table of two fields, all of which is written.
cudaError_t scatter_spread_cuda(const FineGrid&, const double* points, std::int64_t count, double* table,
                                cudaStream_t stream);

// The gradient of the table to that of the points [count, 3].
cudaError_t scatter_read_cuda(const FineGrid&, const double* points, std::int64_t count, const double* grad_table,
                              double* grad_points, cudaStream_t stream);

// moved [rows, 3, columns] -> values [rows, columns] at the sources [rows, columns, 2] of all nodes.
cudaError_t resample_solve_cuda(const FineGrid&, const double* moved, const double* table, double* values,
                                double* sources, cudaStream_t stream);

// The gradient of the values to that of the table; amounts [rows, columns, 3] is memory to work in.
cudaError_t resample_transpose_cuda(const FineGrid&, const double* table, const double* sources,
                                    const double* grad_values, double* amounts, double* grad_table,
                                    cudaStream_t stream);

}  // namespace symflow
