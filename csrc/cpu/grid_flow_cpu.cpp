#include "grid_flow_cpu.h"

#include <algorithm>

#include "grid_flow_run.h"

namespace symflow {

template <class T>
void grid_flow_forward(const GridFlowArguments<T>& arguments, const Parallel& parallel, T* end, T* states) {
  if (arguments.fields.rows * arguments.points == 0) return;
  const GridFlowKernels<T>& kernel = selected_grid_flow<T>(arguments.fields.dimension);
  GridFlowProblem<T> f = grid_flow_problem(arguments);
  f.end = end;
  f.states = states;
  const Index chunks = f.fields.rows * f.chunks_per_row;
  const int count = int(std::min<Index>(chunks, parallel.workers));
  GridWorkers<T> workers(f, count);
  for_each_tile(chunks, count, parallel,
                [&](Index chunk, int worker) { kernel.forward_chunk(f, chunk, workers.each[std::size_t(worker)]); });
}
template void grid_flow_forward(const GridFlowArguments<float>&, const Parallel&, float*, float*);
template void grid_flow_forward(const GridFlowArguments<double>&, const Parallel&, double*, double*);

template <class T>
void grid_flow_backward(const GridFlowArguments<T>& arguments, const Parallel& parallel, const T* grad_end,
                        const T* states, T* grad_start, T* grad_weights, T* grad_values) {
  const GridFlowKernels<T>& kernel = selected_grid_flow<T>(arguments.fields.dimension);
  GridFlowProblem<T> f = grid_flow_problem(arguments);
  f.table_gradients = grad_weights != nullptr || grad_values != nullptr;
  f.grad_end = grad_end;
  f.states_saved = states;
  f.grad_start = grad_start;
  GridTotals<T> totals(f.fields, f.table_gradients);
  const Index chunks = f.fields.rows * f.chunks_per_row;
  if (chunks > 0) {
    const int count = int(std::min<Index>(chunks, parallel.workers));
    GridWorkers<T> workers(f, count);
    Turns turns;
    for_each_tile(chunks, count, parallel, [&](Index chunk, int worker) {
      GridWorker<T>& w = workers.each[std::size_t(worker)];
      kernel.backward_chunk(f, chunk, w);
      turns.take(chunk, [&] {
        if (f.table_gradients) totals.add_chunk(chunk / f.chunks_per_row, w);
      });
    });
  }
  totals.write(grad_weights, grad_values);
}
template void grid_flow_backward(const GridFlowArguments<float>&, const Parallel&, const float*, const float*, float*,
                                 float*, float*);
template void grid_flow_backward(const GridFlowArguments<double>&, const Parallel&, const double*, const double*,
                                 double*, double*, double*);

}  // namespace symflow
