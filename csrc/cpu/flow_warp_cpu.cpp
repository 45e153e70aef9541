#include "flow_warp_cpu.h"

#include <algorithm>

#include "flow_run.h"
#include "flow_select.h"
#include "grid_flow_run.h"
#include "warp_run.h"

namespace symflow {
namespace {

// Points first .. first + count of a row of weights.
struct Piece {
  Index row, first, count;
};

inline Piece piece_at(Index task, Index per_row, Index length, Index points) {
  const Index first = task % per_row * length;
  return {task / per_row, first, std::min(points - first, length)};
}

// A mover is a field and the memory to flow pieces along it. `move` takes the points `start` [count, 2] of a piece to
// their ends and keeps the states [steps, count, 2] unless they are null; `pull_back` takes the gradient of the ends
// and leaves what it gives for weights and field in the worker's memory, which `add`, called in the order of the tasks,
// adds to the totals. The kernels see a piece as a problem of one row.

template <class T>
class NetworkMover {
 public:
  NetworkMover(const FlowArguments<T>& arguments, const Parallel& parallel, bool backward, bool weight_gradients,
               bool parameter_gradients)
      : kernel_(selected_flow<T>()), f_(problem_of(arguments)) {
    parameters_ = prepare(f_, kernel_, most_points(f_), backward, weight_gradients, parameter_gradients);
    workers = int(std::min<Index>(tasks(), parallel.workers));
    if (backward) layout_ = layout_of(f_, f_.most_heads);
    scratch_ = std::max(kernel_.forward_scratch(f_), backward ? kernel_.backward_scratch(f_) : 0);
    scratch_ = rounded_up(scratch_, alignment);
    memory_ = zeros<T>(workers * (scratch_ + layout_.size + 2 * f_.tile));
  }

  int workers;
  Index tasks() const { return f_.rows * f_.tiles_per_row; }
  Index longest() const { return f_.tile_points; }
  Index steps() const { return f_.steps; }
  Piece piece(Index task) const { return piece_at(task, f_.tiles_per_row, f_.tile_points, f_.points); }

  void move(const Piece& piece, int worker, const T* start, T* states, T* end) {
    FlowProblem<T> f = one_row(piece);
    f.weight_gradients = f.parameter_gradients = false;  // heads that move nothing are then left out
    f.start = start;
    f.states = states;
    f.end = end;
    kernel_.forward_tile(f, 0, scratch(worker));
  }

  void pull_back(const Piece& piece, int worker, const T* states, const T* grad_end) {
    FlowProblem<T> f = one_row(piece);
    f.states_saved = states;
    f.grad_end = grad_end;
    f.grad_start = sums(worker) + layout_.size;  // nobody asks for it
    kernel_.backward_tile(f, 0, scratch(worker), layout_, sums(worker));
  }

  void add(Index task, int worker, Totals<T>& totals) { totals.add_tile(task, layout_, sums(worker)); }
  Totals<T> totals() const { return Totals<T>(f_); }

 private:
  static FlowProblem<T> problem_of(const FlowArguments<T>& arguments) {
    FlowProblem<T> f{};
    static_cast<FlowArguments<T>&>(f) = arguments;
    return f;
  }

  FlowProblem<T> one_row(const Piece& piece) const {
    FlowProblem<T> f = f_;
    f.rows = f.tiles_per_row = 1;
    f.points = f.tile_points = piece.count;
    f.weights += piece.row * f.heads;
    return f;
  }

  T* scratch(int worker) const { return memory_.get() + worker * (scratch_ + layout_.size + 2 * f_.tile); }
  T* sums(int worker) const { return scratch(worker) + scratch_; }

  const FlowKernels<T>& kernel_;
  FlowProblem<T> f_;
  Buffer<T> parameters_, memory_;
  GradientLayout layout_{};
  Index scratch_;
};

template <class T>
class GridMover {
 public:
  GridMover(const GridFlowArguments<T>& arguments, const Parallel& parallel, bool table_gradients)
      : kernel_(selected_grid_flow<T>(arguments.fields.dimension)), f_(grid_flow_problem(arguments)) {
    f_.table_gradients = table_gradients;
    workers = int(std::min<Index>(tasks(), parallel.workers));
    memory_ = GridWorkers<T>(f_, workers);
    rows_.assign(std::size_t(workers), -1);
    grad_start_ = zeros<T>(table_gradients ? workers * 2 * longest() : 0);
  }

  int workers;
  Index tasks() const { return f_.fields.rows * f_.chunks_per_row; }
  Index longest() const { return f_.chunk_points; }
  Index steps() const { return f_.steps; }
  Piece piece(Index task) const { return piece_at(task, f_.chunks_per_row, f_.chunk_points, f_.points); }

  void move(const Piece& piece, int worker, const T* start, T* states, T* end) {
    GridFlowProblem<T> f = one_row(piece);
    f.start = start;
    f.states = states;
    f.end = end;
    kernel_.forward_chunk(f, 0, memory_of(piece, worker));
  }

  void pull_back(const Piece& piece, int worker, const T* states, const T* grad_end) {
    GridFlowProblem<T> f = one_row(piece);
    f.states_saved = states;
    f.grad_end = grad_end;
    f.grad_start = grad_start_.get() + worker * 2 * longest();  // nobody asks for it
    kernel_.backward_chunk(f, 0, memory_of(piece, worker));
  }

  void add(Index task, int worker, GridTotals<T>& totals) {
    totals.add_chunk(piece(task).row, memory_.each[std::size_t(worker)]);
  }
  GridTotals<T> totals() const { return GridTotals<T>(f_.fields, f_.table_gradients); }

 private:
  GridFlowProblem<T> one_row(const Piece& piece) const {
    GridFlowProblem<T> f = f_;
    f.fields.rows = f.chunks_per_row = 1;
    f.points = f.chunk_points = piece.count;
    f.fields.weights += piece.row * f.fields.generators;
    return f;
  }

  // The row that a worker's table is for is 0 in the problem of one row.
  GridWorker<T>& memory_of(const Piece& piece, int worker) {
    GridWorker<T>& memory = memory_.each[std::size_t(worker)];
    Index& row = rows_[std::size_t(worker)];
    if (row != piece.row) memory.row = -1;
    row = piece.row;
    return memory;
  }

  const GridFlowKernels<T>& kernel_;
  GridFlowProblem<T> f_;
  GridWorkers<T> memory_;
  std::vector<Index> rows_;
  Buffer<T> grad_start_;
};

// The planes of a set are one unit, moved for at once, unless they do not fit a wave.
template <class T>
WarpProblem<T> problem_of(const WarpArguments<T>& arguments) {
  return warp_problem(arguments, std::max(arguments.images * arguments.channels, Index(1)), wave_bytes);
}

// Calls work(unit, task of the mover, in_turn, worker) for all pieces of each unit's set, wave by wave. What is done by
// in_turn(add) is done in the order of the calls.
template <class T, class Mover, class Work>
void for_each_piece(WarpProblem<T>& f, Mover& mover, const Parallel& parallel, const T* images, const Work& work) {
  in_waves(f, parallel, images, static_cast<const T*>(nullptr), [&](Index first_unit, Index last_unit) {
    const Index each = mover.tasks() / f.sets;
    const Index tasks = (last_unit - first_unit) * each;
    Turns turns;
    for_each_tile(tasks, int(std::min<Index>(tasks, mover.workers)), parallel, [&](Index index, int worker) {
      const Index unit = first_unit + index / each, task = unit / f.units * each + index % each;
      work(unit, task, [&](const auto& add) { turns.take(index, add); }, worker);
    });
  });
}

// body(task of the warp, its first point within the piece) for the parts of a piece.
template <class T, class Body>
void for_each_part(const WarpProblem<T>& f, Index unit, const Piece& piece, const Body& body) {
  for (Index at = 0; at < piece.count; at += warp_chunk) {
    const Index count = std::min(piece.count - at, warp_chunk);
    body(WarpTask{unit / f.units, unit % f.units, piece.row % f.grids, piece.first + at, count}, at);
  }
}

template <class T>
bool empty(const WarpArguments<T>& a) {
  return a.images * a.channels * a.grids * a.points == 0;
}

template <class T, class Mover>
void sample_moved(const WarpArguments<T>& arguments, Mover& mover, const Parallel& parallel, const T* points,
                  const T* images, T* out) {
  const WarpKernels<T>& kernel = selected_warp<T>();
  WarpProblem<T> f = problem_of(arguments);
  f.out = out;
  const Index scratch = rounded_up(2 * mover.longest(), alignment);
  const Buffer<T> memory = allocate<T>(mover.workers * scratch);
  for_each_piece(f, mover, parallel, images, [&](Index unit, Index index, const auto&, int worker) {
    const Piece piece = mover.piece(index);
    T* ends = memory.get() + worker * scratch;
    mover.move(piece, worker, points + 2 * piece.first, nullptr, ends);
    for_each_part(f, unit, piece,
                  [&](const WarpTask& task, Index at) { kernel.sample(f, task, ends + 2 * at, nullptr); });
  });
}

// Takes the gradient of the images to weights and field. Where a set has several units, each is taken by itself: the
// adjoint is linear.
template <class T, class Mover, class Totals>
void pull_back_moved(const WarpArguments<T>& arguments, Mover& mover, Totals& totals, const Parallel& parallel,
                     const T* points, const T* images, const T* grad) {
  const WarpKernels<T>& kernel = selected_warp<T>();
  WarpProblem<T> f = problem_of(arguments);
  f.grad = grad;
  const Index length = 2 * mover.longest(), scratch = rounded_up((2 + mover.steps()) * length, alignment);
  const Buffer<T> memory = allocate<T>(mover.workers * scratch);
  for_each_piece(f, mover, parallel, images, [&](Index unit, Index index, const auto& in_turn, int worker) {
    const Piece piece = mover.piece(index);
    T* ends = memory.get() + worker * scratch;
    T *grad_ends = ends + length, *states = grad_ends + length;
    mover.move(piece, worker, points + 2 * piece.first, states, ends);
    for_each_part(f, unit, piece, [&](const WarpTask& task, Index at) {
      kernel.grid_gradient(f, task, ends + 2 * at, nullptr, grad_ends + 2 * at);
    });
    mover.pull_back(piece, worker, states, grad_ends);
    in_turn([&] { mover.add(index, worker, totals); });
  });
}

// Writes the end points [S, G, P, 2].
template <class T, class Mover>
void move_all(Mover& mover, const Parallel& parallel, const T* points, Index row_points, T* ends) {
  for_each_tile(mover.tasks(), mover.workers, parallel, [&](Index index, int worker) {
    const Piece piece = mover.piece(index);
    mover.move(piece, worker, points + 2 * piece.first, nullptr, ends + 2 * (piece.row * row_points + piece.first));
  });
}

template <class T, class Mover, class Totals>
void backward(WarpArguments<T> arguments, Mover& mover, Totals& totals, bool pulls, const Parallel& parallel,
              const T* points, const T* images, const T* grad, const FlowWarpGradients<T>& wanted) {
  if (pulls && !empty(arguments)) pull_back_moved(arguments, mover, totals, parallel, points, images, grad);
  if (wanted.images != nullptr) {
    if (!empty(arguments)) move_all(mover, parallel, points, arguments.points, wanted.ends);
    arguments.grid = wanted.ends;
    warp_image_gradient(arguments, parallel, grad, wanted.images);
  }
}

}  // namespace

template <class T>
void flow_warp(const WarpArguments<T>& warp, const FlowArguments<T>& flow, const Parallel& parallel, const T* points,
               const T* images, T* out) {
  if (empty(warp)) return;
  NetworkMover<T> mover(flow, parallel, false, false, false);
  sample_moved(warp, mover, parallel, points, images, out);
}

template <class T>
void grid_flow_warp(const WarpArguments<T>& warp, const GridFlowArguments<T>& flow, const Parallel& parallel,
                    const T* points, const T* images, T* out) {
  if (empty(warp)) return;
  GridMover<T> mover(flow, parallel, false);
  sample_moved(warp, mover, parallel, points, images, out);
}

template <class T>
void flow_warp_backward(const WarpArguments<T>& warp, const FlowArguments<T>& flow, const Parallel& parallel,
                        const T* points, const T* images, const T* grad, const FlowWarpGradients<T>& wanted) {
  const bool pulls = wanted.weights != nullptr || wanted.parameters != nullptr;
  NetworkMover<T> mover(flow, parallel, pulls, wanted.weights != nullptr, wanted.parameters != nullptr);
  auto totals = mover.totals();
  backward(warp, mover, totals, pulls, parallel, points, images, grad, wanted);
  if (pulls) totals.write(wanted.weights, wanted.parameters);
}

template <class T>
void grid_flow_warp_backward(const WarpArguments<T>& warp, const GridFlowArguments<T>& flow, const Parallel& parallel,
                             const T* points, const T* images, const T* grad, const FlowWarpGradients<T>& wanted) {
  const bool pulls = wanted.weights != nullptr || wanted.values != nullptr;
  GridMover<T> mover(flow, parallel, pulls);
  auto totals = mover.totals();
  backward(warp, mover, totals, pulls, parallel, points, images, grad, wanted);
  totals.write(wanted.weights, wanted.values);
}

#define SYMFLOW_INSTANTIATE(T)                                                                                        \
  template void flow_warp(const WarpArguments<T>&, const FlowArguments<T>&, const Parallel&, const T*, const T*, T*); \
  template void grid_flow_warp(const WarpArguments<T>&, const GridFlowArguments<T>&, const Parallel&, const T*,       \
                               const T*, T*);                                                                         \
  template void flow_warp_backward(const WarpArguments<T>&, const FlowArguments<T>&, const Parallel&, const T*,       \
                                   const T*, const T*, const FlowWarpGradients<T>&);                                  \
  template void grid_flow_warp_backward(const WarpArguments<T>&, const GridFlowArguments<T>&, const Parallel&,        \
                                        const T*, const T*, const T*, const FlowWarpGradients<T>&);
SYMFLOW_INSTANTIATE(float)
SYMFLOW_INSTANTIATE(double)
#undef SYMFLOW_INSTANTIATE

}  // namespace symflow
