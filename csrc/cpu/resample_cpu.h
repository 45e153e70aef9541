// The seam of resampling on the CPU: raw pointers and sizes, no torch. One trajectory at a time; float64.
//
// resample_cpu.cpp hands out rows and runs of points to threads and adds up what they found; the kernels of
// resample_tile.h are compiled once per instruction set. Layouts and units are those of core/resample.h.
#pragma once

#include <cstdint>

#include "isa.h"
#include "parallel.h"

namespace symflow {

struct FineGrid;  // of core/resample.h, whose formulas are compiled per instruction set

// The transpose of reading by linear interpolation across rows: adds u and 1 of every point [count, 3] = (column, row,
// u) to a table of two fields, which is set to zero first.
void scatter_spread(const FineGrid&, const Parallel&, const double* points, std::int64_t count, double* table);

// Its derivative: the gradient of the table to that of the points [count, 3].
void scatter_read(const FineGrid&, const Parallel&, const double* points, std::int64_t count, const double* grad_table,
                  double* grad_points);

// moved [rows, 3, columns] are the fields of a table of moved points, on the grid itself; guesses are read off them.
// values [rows, columns] at the sources [rows, columns, 2] = (column, row) of all nodes; 0 and NaN where there is none.
void resample_solve(const FineGrid&, const Parallel&, const double* moved, const double* table, double* values,
                    double* sources);

// The gradient of the values to that of the table, by the implicit function theorem.
void resample_transpose(const FineGrid&, const Parallel&, const double* table, const double* sources,
                        const double* grad_values, double* grad_table);

// ---- between resample_cpu.cpp and the kernels -----------------------------------------------------------------------

struct ResampleKernels {
  // Points or nodes [begin, end).
  void (*spread)(const FineGrid&, const double* points, std::int64_t begin, std::int64_t end, double* table);
  void (*read)(const FineGrid&, const double* points, std::int64_t begin, std::int64_t end, const double* grad_table,
               double* grad_points);
  void (*transpose)(const FineGrid&, const double* table, const double* sources, const double* grad_values,
                    std::int64_t begin, std::int64_t end, double* grad_table);
  // One row of nodes.
  void (*solve_row)(const FineGrid&, const double* moved, const double* table, std::int64_t row, double* values,
                    double* sources);
};

SYMFLOW_PER_ISA(extern const ResampleKernels resample_kernels;)

}  // namespace symflow
