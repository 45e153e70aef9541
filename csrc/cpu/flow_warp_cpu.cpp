#include "flow_warp_cpu.h"

#include <algorithm>
#include <vector>

#include "flow_run.h"
#include "flow_select.h"
#include "grid_flow_run.h"

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

constexpr Index group_bytes = 2 << 20;  // of the end points and states of a group, at most, unless one piece has more

// Pieces whose end points are in memory together: whole sets of rows, neighbouring rows of a set, or points of a row.
struct Group {
  Index first_set, sets, first_grid, grids, first_point, points;

  // Where a piece of the group begins in the points of the group.
  template <class T>
  Index place(const WarpArguments<T>& a, const Piece& piece) const {
    return (piece.row - first_set * a.grids - first_grid) * points + piece.first - first_point;
  }
};

// work(group) for all groups, with `numbers` numbers kept for each point.
template <class T, class Mover, class Work>
void for_each_group(const WarpArguments<T>& a, const Mover& mover, Index numbers, const Work& work) {
  const Index most = std::max(group_bytes / Index(sizeof(T)) / numbers, mover.longest());
  Index sets = 1, grids = 1, points = a.points;
  if (a.grids * a.points <= most) {
    sets = std::min(most / (a.grids * a.points), a.sets);
    grids = a.grids;
  } else if (a.points <= most) {
    grids = most / a.points;
  } else {
    points = most / mover.longest() * mover.longest();
  }
  for (Index s = 0; s < a.sets; s += sets) {
    for (Index g = 0; g < a.grids; g += grids) {
      for (Index p = 0; p < a.points; p += points) {
        work(Group{s, std::min(sets, a.sets - s), g, std::min(grids, a.grids - g), p, std::min(points, a.points - p)});
      }
    }
  }
}

// work(task of the mover, its number in the group, worker) for the pieces of a group.
template <class T, class Mover, class Work>
void for_each_piece(const WarpArguments<T>& a, const Group& group, const Mover& mover, const Parallel& parallel,
                    const Work& work) {
  const Index in_row = (a.points + mover.longest() - 1) / mover.longest();
  const Index first = (group.first_set * a.grids + group.first_grid) * in_row + group.first_point / mover.longest();
  const Index count = group.sets * group.grids * ((group.points + mover.longest() - 1) / mover.longest());
  for_each_tile(count, int(std::min<Index>(count, mover.workers)), parallel,
                [&](Index number, int worker) { work(first + number, number, worker); });
}

// The warp of a group, at its end points, and where it begins in images and results.
template <class T>
struct GroupWarp {
  WarpArguments<T> arguments;
  WarpWhole whole;
  Index image, result;

  GroupWarp(const WarpArguments<T>& a, const Group& group, const T* ends)
      : arguments(a), whole{a.grids, a.points}, image(0), result((group.first_grid * a.channels) * a.points) {
    arguments.grids = group.grids;
    arguments.points = group.points;
    arguments.grid = ends;
    if (a.sets > 1) {
      arguments.sets = arguments.images = group.sets;
      image = group.first_set * a.channels * a.height * a.width;
      result += group.first_set * a.grids * a.channels * a.points;
    }
    result += group.first_point;
  }
};

template <class T>
bool empty(const WarpArguments<T>& a) {
  return a.images * a.channels * a.grids * a.points == 0;
}

// Moves the pieces of a group to `ends` [sets, grids, points, 2] and keeps the states, piece by piece, unless null.
template <class T, class Mover>
void move_group(const WarpArguments<T>& a, const Group& group, Mover& mover, const Parallel& parallel, const T* points,
                T* states, T* ends) {
  for_each_piece(a, group, mover, parallel, [&](Index task, Index, int worker) {
    const Piece piece = mover.piece(task);
    const Index at = 2 * group.place(a, piece);
    mover.move(piece, worker, points + 2 * piece.first, states == nullptr ? nullptr : states + mover.steps() * at,
               ends + at);
  });
}

template <class T, class Mover>
void sample_moved(const WarpArguments<T>& a, Mover& mover, const Parallel& parallel, const T* points, const T* images,
                  T* out) {
  Buffer<T> ends;
  for_each_group(a, mover, 2, [&](const Group& group) {
    if (ends == nullptr) ends = allocate<T>(2 * group.sets * group.grids * group.points);  // the first is the largest
    move_group(a, group, mover, parallel, points, static_cast<T*>(nullptr), ends.get());
    const GroupWarp<T> part(a, group, ends.get());
    warp_sample<T>(part.arguments, parallel, images + part.image, nullptr, out + part.result, &part.whole);
  });
}

// Takes the gradient of the images to weights and field.
template <class T, class Mover, class Totals>
void pull_back_moved(const WarpArguments<T>& a, Mover& mover, Totals& totals, const Parallel& parallel, const T* points,
                     const T* images, const T* grad) {
  const Index numbers = 2 * (mover.steps() + 2);
  Buffer<T> memory;
  for_each_group(a, mover, numbers, [&](const Group& group) {
    const Index count = group.sets * group.grids * group.points;
    if (memory == nullptr) memory = allocate<T>(numbers * count);
    T *ends = memory.get(), *grad_ends = ends + 2 * count, *states = grad_ends + 2 * count;
    move_group(a, group, mover, parallel, points, states, ends);
    const GroupWarp<T> part(a, group, ends);
    warp_grid_gradient<T>(part.arguments, parallel, grad + part.result, images + part.image, nullptr, grad_ends,
                          &part.whole);
    Turns turns;
    for_each_piece(a, group, mover, parallel, [&](Index task, Index number, int worker) {
      const Piece piece = mover.piece(task);
      const Index at = 2 * group.place(a, piece);
      mover.pull_back(piece, worker, states + mover.steps() * at, grad_ends + at);
      turns.take(number, [&] { mover.add(task, worker, totals); });
    });
  });
}

template <class T, class Mover, class Totals>
void backward(WarpArguments<T> a, Mover& mover, Totals& totals, bool pulls, const Parallel& parallel, const T* points,
              const T* images, const T* grad, const FlowWarpGradients<T>& wanted) {
  if (pulls && !empty(a)) pull_back_moved(a, mover, totals, parallel, points, images, grad);
  if (wanted.images != nullptr) {
    const Group everything = {0, a.sets, 0, a.grids, 0, a.points};
    if (!empty(a)) move_group(a, everything, mover, parallel, points, static_cast<T*>(nullptr), wanted.ends);
    a.grid = wanted.ends;
    warp_image_gradient(a, parallel, grad, wanted.images);
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
