#include "../core/warp.h"
#include "device.h"
#include "warp_cuda.h"

namespace symflow {
namespace {

constexpr int block_threads = 256;
constexpr std::int64_t unit_planes = 32;    // planes that a thread takes at its point
constexpr int gather_planes = 8;            // and those at its pixel
constexpr std::int64_t most_units = 65535;  // in a grid of blocks; there a block takes several

std::int64_t parts(std::int64_t count, std::int64_t size) { return (count + size - 1) / size; }

// Calls call(padding as a constant).
template <class Call>
cudaError_t with_padding(Padding padding, const Call& call) {
  switch (padding) {
    case Padding::zeros:
      return call(std::integral_constant<Padding, Padding::zeros>());
    case Padding::border:
      return call(std::integral_constant<Padding, Padding::border>());
    default:
      return call(std::integral_constant<Padding, Padding::reflection>());
  }
}

// ---- points -------------------------------------------------------------------------------------------------------

template <class T>
struct Point {
  std::int32_t row, column;  // of v00
  T tx, ty, slope_x, slope_y;
};

template <Padding padding, class T>
SYMFLOW_DEVICE Point<T> point_at(const WarpArguments<T>& a, std::int64_t i) {
  const Position<T> x = locate<padding>(a.grid[2 * i], a.width), y = locate<padding>(a.grid[2 * i + 1], a.height);
  const Place<T> column = place_of(x.u, a.width), row = place_of(y.u, a.height);
  return {row.index, column.index, column.t, row.t, x.slope, y.slope};
}

template <class T>
SYMFLOW_DEVICE Bilinear<T> cell_of(const T* __restrict__ plane, const Point<T>& point, std::int32_t height,
                                   std::int32_t width) {
  const bool upper = inside(point.row, height), lower = inside(point.row + 1, height);
  const bool left = inside(point.column, width), right = inside(point.column + 1, width);
  const std::int64_t at = std::int64_t(point.row) * width + point.column;
  return bilinear<T>(upper && left ? plane[at] : T(0), upper && right ? plane[at + 1] : T(0),
                     lower && left ? plane[at + width] : T(0), lower && right ? plane[at + width + 1] : T(0), point.tx,
                     point.ty);
}

// Steps through the planes that share a set, in [B, C, H, W] and, for one grid of the set, in [B, G, C, P].
template <class T>
struct Planes {
  std::int64_t pixels, points, skip;  // from an image's last result to the next one's first
  std::int64_t image, result;         // where the plane begins
  std::int64_t channels, channel;

  SYMFLOW_DEVICE Planes(const WarpArguments<T>& a, std::int64_t set, std::int64_t grid, std::int64_t plane) {
    const std::int64_t all = set * (a.images * a.channels / a.sets) + plane;
    pixels = std::int64_t(a.height) * a.width;
    points = a.points;
    channels = a.channels;
    channel = all % a.channels;
    skip = (a.grids - 1) * a.channels * a.points;
    image = all * pixels;
    result = ((all / a.channels * a.grids + grid) * a.channels + channel) * a.points;
  }

  SYMFLOW_DEVICE void next() {
    image += pixels;
    result += points;
    if (++channel == channels) {
      channel = 0;
      result += skip;
    }
  }
};

// The velocity of a point in pixels.
template <class T>
struct Velocity {
  T x, y;
};

template <class T>
SYMFLOW_DEVICE Velocity<T> velocity_at(const WarpArguments<T>& a, const Point<T>& point, std::int64_t i) {
  return {point.slope_x * a.velocity[2 * i], point.slope_y * a.velocity[2 * i + 1]};
}

// ---- sample and the gradient of the grid: a thread per point, corners computed once for all its planes --------------

template <Padding padding, bool has_p, bool has_q, class T>
__global__ void sample_kernel(WarpArguments<T> a, const T* __restrict__ p, const T* __restrict__ q,
                              T* __restrict__ out) {
  const std::int64_t i = std::int64_t(blockIdx.x) * block_threads + threadIdx.x;
  if (i >= a.sets * a.grids * a.points) return;
  const std::int64_t grid = i / a.points, index = i % a.points, planes = a.images * a.channels / a.sets;
  const Point<T> point = point_at<padding>(a, i);
  Velocity<T> velocity{};
  if constexpr (has_q) velocity = velocity_at(a, point, i);
  for (std::int64_t first = blockIdx.y * unit_planes; first < planes; first += gridDim.y * unit_planes) {
    Planes<T> at(a, grid / a.grids, grid % a.grids, first);
    const std::int64_t last = first + unit_planes < planes ? first + unit_planes : planes;
#pragma unroll 4
    for (std::int64_t plane = first; plane < last; ++plane, at.next()) {
      T value = 0;
      if constexpr (has_p) value = cell_of(p + at.image, point, a.height, a.width).value;
      if constexpr (has_q) {
        const Bilinear<T> c = cell_of(q + at.image, point, a.height, a.width);
        const T moved = velocity.x * c.dx + velocity.y * c.dy;
        value = has_p ? value + moved : moved;
      }
      out[at.result + index] = value;
    }
  }
}

// sums [units, S, G, P, 2].
template <Padding padding, bool has_p, bool has_q, class T>
__global__ void grid_gradient_kernel(WarpArguments<T> a, const T* __restrict__ grad, const T* __restrict__ p,
                                     const T* __restrict__ q, T* __restrict__ sums) {
  const std::int64_t i = std::int64_t(blockIdx.x) * block_threads + threadIdx.x;
  const std::int64_t count = a.sets * a.grids * a.points;
  if (i >= count) return;
  const std::int64_t grid = i / a.points, index = i % a.points, planes = a.images * a.channels / a.sets;
  const Point<T> point = point_at<padding>(a, i);
  Velocity<T> velocity{};
  if constexpr (has_q) velocity = velocity_at(a, point, i);
  for (std::int64_t unit = blockIdx.y; unit * unit_planes < planes; unit += gridDim.y) {
    const std::int64_t first = unit * unit_planes, last = first + unit_planes < planes ? first + unit_planes : planes;
    Planes<T> at(a, grid / a.grids, grid % a.grids, first);
    T sum_x = 0, sum_y = 0;
#pragma unroll 4
    for (std::int64_t plane = first; plane < last; ++plane, at.next()) {
      T dx = 0, dy = 0;
      if constexpr (has_p) {
        const Bilinear<T> c = cell_of(p + at.image, point, a.height, a.width);
        dx = c.dx;
        dy = c.dy;
      }
      if constexpr (has_q) {
        const T mixed = cell_of(q + at.image, point, a.height, a.width).dxy;
        dx = has_p ? dx + velocity.y * mixed : velocity.y * mixed;
        dy = has_p ? dy + velocity.x * mixed : velocity.x * mixed;
      }
      const T g = grad[at.result + index];
      sum_x += g * dx;
      sum_y += g * dy;
    }
    sums[2 * (unit * count + i)] = point.slope_x * sum_x;
    sums[2 * (unit * count + i) + 1] = point.slope_y * sum_y;
  }
}

template <class T>
__global__ void add_units_kernel(const T* __restrict__ sums, std::int64_t units, std::int64_t size,
                                 T* __restrict__ grad_grid) {
  const std::int64_t i = std::int64_t(blockIdx.x) * block_threads + threadIdx.x;
  if (i >= size) return;
  double sum = 0;
  for (std::int64_t unit = 0; unit < units; ++unit) sum += double(sums[unit * size + i]);
  grad_grid[i] = T(sum);
}

// ---- the gradient of the images: points sorted by cell, a thread per pixel -----------------------------------------

// A key is the cell of a point, counted through all sets, and behind it the point's number in its set. A cell is named
// by v00, which may be one row or column before the image; points that touch no pixel come last.
constexpr std::uint64_t no_cell = ~std::uint64_t(0);

struct Keys {
  std::int64_t stride, cells;  // a row of cells, and a set of them
  int point_bits;
};

template <class T>
Keys keys_of(const WarpArguments<T>& a) {
  Keys keys{std::int64_t(a.width) + 1, (std::int64_t(a.height) + 1) * (std::int64_t(a.width) + 1), 0};
  while ((std::int64_t(1) << keys.point_bits) < a.grids * a.points) ++keys.point_bits;
  return keys;
}

template <Padding padding, class T>
__global__ void keys_kernel(WarpArguments<T> a, Keys keys, std::int64_t size, std::uint64_t* __restrict__ sorted) {
  const std::int64_t i = std::int64_t(blockIdx.x) * block_threads + threadIdx.x;
  if (i >= size) return;
  std::uint64_t key = no_cell;
  if (i < a.sets * a.grids * a.points) {
    const Point<T> point = point_at<padding>(a, i);
    if (inside(point.row + 1, a.height + 1) && inside(point.column + 1, a.width + 1)) {
      const std::int64_t set = i / (a.grids * a.points), number = i % (a.grids * a.points);
      const std::int64_t cell = set * keys.cells + (point.row + 1) * keys.stride + point.column + 1;
      key = std::uint64_t(cell) << keys.point_bits | std::uint64_t(number);
    }
  }
  sorted[i] = key;
}

// Bitonic sorting (Batcher 1968). For k = 2, 4, .. size, for j = k/2, .. 2, 1: the numbers at i and i + j, bit j of i
// being 0, are put in ascending order where bit k of i is 0, else in descending order.
SYMFLOW_DEVICE std::int64_t first_of_pair(std::int64_t pair, std::int64_t j) {
  return (pair & ~(j - 1)) << 1 | (pair & (j - 1));
}

SYMFLOW_DEVICE void order(std::uint64_t& a, std::uint64_t& b, bool ascending) {
  if ((a > b) == ascending) {
    const std::uint64_t swap = a;
    a = b;
    b = swap;
  }
}

constexpr std::int64_t tile = 4 * block_threads;  // numbers that a block sorts in shared memory

__global__ void sort_step_kernel(std::uint64_t* keys, std::int64_t k, std::int64_t j) {
  const std::int64_t i = first_of_pair(std::int64_t(blockIdx.x) * block_threads + threadIdx.x, j);
  order(keys[i], keys[i + j], (i & k) == 0);
}

// The steps of k = first_k .. last_k with j < tile.
__global__ void sort_tile_kernel(std::uint64_t* keys, std::int64_t first_k, std::int64_t last_k) {
  std::uint64_t* shared = shared_memory<std::uint64_t>();
  const std::int64_t begin = blockIdx.x * tile;
  for (std::int64_t i = threadIdx.x; i < tile; i += block_threads) shared[i] = keys[begin + i];
  __syncthreads();
  for (std::int64_t k = first_k; k <= last_k; k *= 2) {
    for (std::int64_t j = (k < tile ? k : tile) / 2; j > 0; j /= 2) {
      for (std::int64_t pair = threadIdx.x; pair < tile / 2; pair += block_threads) {
        const std::int64_t i = first_of_pair(pair, j);
        order(shared[i], shared[i + j], ((begin + i) & k) == 0);
      }
      __syncthreads();
    }
  }
  for (std::int64_t i = threadIdx.x; i < tile; i += block_threads) keys[begin + i] = shared[i];
}

cudaError_t sort(std::uint64_t* keys, std::int64_t size, cudaStream_t stream) {
  const auto tiles = static_cast<unsigned>(size / tile);
  const std::size_t bytes = tile * sizeof(std::uint64_t);
  cudaError_t error =
      launch(sort_tile_kernel, tiles, block_threads, bytes, stream, keys, std::int64_t(2), std::int64_t(tile));
  for (std::int64_t k = 2 * tile; k <= size && error == cudaSuccess; k *= 2) {
    for (std::int64_t j = k / 2; j >= tile && error == cudaSuccess; j /= 2) {
      error = launch(sort_step_kernel, static_cast<unsigned>(size / 2 / block_threads), block_threads, 0, stream, keys,
                     k, j);
    }
    if (error == cudaSuccess) error = launch(sort_tile_kernel, tiles, block_threads, bytes, stream, keys, k, k);
  }
  return error;
}

SYMFLOW_DEVICE std::int64_t lower_bound(const std::uint64_t* __restrict__ keys, std::int64_t size, std::uint64_t key) {
  std::int64_t first = 0;
  while (size > 0) {
    const std::int64_t half = size / 2;
    if (keys[first + half] < key) {
      first += half + 1;
      size -= half + 1;
    } else {
      size = half;
    }
  }
  return first;
}

template <Padding padding, bool moving, class T>
__global__ void image_gradient_kernel(WarpArguments<T> a, Keys keys, std::int64_t size,
                                      const std::uint64_t* __restrict__ sorted, const T* __restrict__ grad,
                                      T* __restrict__ grad_images) {
  const std::int64_t i = std::int64_t(blockIdx.x) * block_threads + threadIdx.x;
  const std::int64_t pixels = std::int64_t(a.height) * a.width, planes = a.images * a.channels / a.sets;
  if (i >= a.sets * pixels) return;
  const std::int64_t set = i / pixels, pixel = i % pixels;
  const std::uint64_t number_mask = (std::uint64_t(1) << keys.point_bits) - 1;
  for (std::int64_t first = std::int64_t(blockIdx.y) * gather_planes; first < planes;
       first += std::int64_t(gridDim.y) * gather_planes) {
    T sums[gather_planes] = {};
    std::int64_t at[gather_planes];
    Planes<T> place(a, set, 0, first);
#pragma unroll
    for (int n = 0; n < gather_planes; ++n, place.next()) at[n] = place.result;
    // The pixel is at the lower corners of the cells of the row before it, and at the upper corners of its own.
    for (int upper = 0; upper < 2; ++upper) {
      const std::int64_t cell = set * keys.cells + (pixel / a.width + upper) * keys.stride + pixel % a.width;
      const std::uint64_t begin = std::uint64_t(cell) << keys.point_bits;
      const std::uint64_t middle = std::uint64_t(cell + 1) << keys.point_bits;
      const std::uint64_t end = std::uint64_t(cell + 2) << keys.point_bits;
      for (std::int64_t k = lower_bound(sorted, size, begin); k < size && sorted[k] < end; ++k) {
        const bool left = sorted[k] >= middle;  // corners of the cell that begins at the pixel
        const auto number = static_cast<std::int64_t>(sorted[k] & number_mask);
        const std::int64_t place_in_grid = set * a.grids * a.points + number;
        const Point<T> point = point_at<padding>(a, place_in_grid);
        const T x = left ? T(1) - point.tx : point.tx, y = upper ? T(1) - point.ty : point.ty;
        T weight = x * y;
        if constexpr (moving) {
          const Velocity<T> velocity = velocity_at(a, point, place_in_grid);
          weight = (left ? -velocity.x : velocity.x) * y + x * (upper ? -velocity.y : velocity.y);
        }
        const std::int64_t grid = number / a.points;
        const T* from = grad + grid * a.channels * a.points + number % a.points;
#pragma unroll
        for (int n = 0; n < gather_planes; ++n) {
          if (first + n < planes) sums[n] += weight * from[at[n]];
        }
      }
    }
    T* to = grad_images + (set * planes + first) * pixels + pixel;
#pragma unroll
    for (int n = 0; n < gather_planes; ++n) {
      if (first + n < planes) to[n * pixels] = sums[n];
    }
  }
}

template <class T>
dim3 blocks_of(const WarpArguments<T>& a, std::int64_t threads, std::int64_t unit) {
  const std::int64_t units = parts(a.images * a.channels / a.sets, unit);
  return dim3(static_cast<unsigned>(parts(threads, block_threads)),
              static_cast<unsigned>(units < most_units ? units : most_units));
}

}  // namespace

template <class T>
cudaError_t warp_sample_cuda(const WarpArguments<T>& a, const T* p, const T* q, T* out, cudaStream_t stream) {
  const std::int64_t points = a.sets * a.grids * a.points;
  if (points * a.images * a.channels == 0) return cudaSuccess;
  return with_padding(a.padding, [&](auto padding) {
    const auto kernel = q == nullptr   ? sample_kernel<padding(), true, false, T>
                        : p == nullptr ? sample_kernel<padding(), false, true, T>
                                       : sample_kernel<padding(), true, true, T>;
    return launch(kernel, blocks_of(a, points, unit_planes), block_threads, 0, stream, a, p, q, out);
  });
}

template <class T>
std::int64_t warp_grid_gradient_workspace(const WarpArguments<T>& a) {
  if (a.sets == 0) return 0;
  return 2 * a.sets * a.grids * a.points * parts(a.images * a.channels / a.sets, unit_planes);
}

template <class T>
cudaError_t warp_grid_gradient_cuda(const WarpArguments<T>& a, const T* grad, const T* p, const T* q, T* workspace,
                                    T* grad_grid, cudaStream_t stream) {
  const std::int64_t points = a.sets * a.grids * a.points;
  if (points == 0) return cudaSuccess;
  const std::int64_t units = parts(a.images * a.channels / a.sets, unit_planes);
  cudaError_t error = cudaSuccess;
  if (units > 0) {
    error = with_padding(a.padding, [&](auto padding) {
      const auto kernel = q == nullptr   ? grid_gradient_kernel<padding(), true, false, T>
                          : p == nullptr ? grid_gradient_kernel<padding(), false, true, T>
                                         : grid_gradient_kernel<padding(), true, true, T>;
      return launch(kernel, blocks_of(a, points, unit_planes), block_threads, 0, stream, a, grad, p, q, workspace);
    });
  }
  if (error != cudaSuccess) return error;
  return launch(add_units_kernel<T>, static_cast<unsigned>(parts(2 * points, block_threads)), block_threads, 0, stream,
                workspace, units, 2 * points, grad_grid);
}

template <class T>
std::int64_t warp_image_gradient_workspace(const WarpArguments<T>& a) {
  const Keys keys = keys_of(a);
  if ((a.sets * keys.cells + 1) >> (63 - keys.point_bits) != 0) return 0;
  std::int64_t size = tile;
  while (size < a.sets * a.grids * a.points) size *= 2;
  return size;
}

template <class T>
cudaError_t warp_image_gradient_cuda(const WarpArguments<T>& a, const T* grad, std::uint64_t* workspace, T* grad_images,
                                     cudaStream_t stream) {
  if (a.images * a.channels == 0) return cudaSuccess;
  const std::int64_t size = warp_image_gradient_workspace(a), pixels = a.sets * a.height * a.width;
  return with_padding(a.padding, [&](auto padding) {
    const Keys keys = keys_of(a);
    cudaError_t error = launch(keys_kernel<padding(), T>, static_cast<unsigned>(parts(size, block_threads)),
                               block_threads, 0, stream, a, keys, size, workspace);
    if (error == cudaSuccess) error = sort(workspace, size, stream);
    if (error != cudaSuccess) return error;
    const auto kernel =
        a.velocity == nullptr ? image_gradient_kernel<padding(), false, T> : image_gradient_kernel<padding(), true, T>;
    return launch(kernel, blocks_of(a, pixels, gather_planes), block_threads, 0, stream, a, keys, size, workspace, grad,
                  grad_images);
  });
}

#define SYMFLOW_INSTANTIATE(T)                                                                                \
  template cudaError_t warp_sample_cuda(const WarpArguments<T>&, const T*, const T*, T*, cudaStream_t);       \
  template std::int64_t warp_grid_gradient_workspace(const WarpArguments<T>&);                                \
  template cudaError_t warp_grid_gradient_cuda(const WarpArguments<T>&, const T*, const T*, const T*, T*, T*, \
                                               cudaStream_t);                                                 \
  template std::int64_t warp_image_gradient_workspace(const WarpArguments<T>&);                               \
  template cudaError_t warp_image_gradient_cuda(const WarpArguments<T>&, const T*, std::uint64_t*, T*, cudaStream_t);
SYMFLOW_INSTANTIATE(float)
SYMFLOW_INSTANTIATE(double)
#undef SYMFLOW_INSTANTIATE

}  // namespace symflow
