// Memory and threads of the kernels on the CPU; no torch.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <new>
#include <thread>
#include <vector>

namespace symflow {

constexpr std::int64_t alignment = 64;  // bytes, and numbers between arrays in one buffer

constexpr std::int64_t rounded_up(std::int64_t n, std::int64_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

template <class T>
struct Free {
  void operator()(T* p) const { ::operator delete(p, std::align_val_t(alignment)); }
};
template <class T>
using Buffer = std::unique_ptr<T[], Free<T>>;

template <class T>
Buffer<T> allocate(std::int64_t count) {
  return Buffer<T>(static_cast<T*>(::operator new(std::size_t(count) * sizeof(T), std::align_val_t(alignment))));
}
template <class T>
Buffer<T> zeros(std::int64_t count) {
  Buffer<T> buffer = allocate<T>(count);
  std::fill_n(buffer.get(), count, T(0));
  return buffer;
}

// parallel_for of the host: calls body(begin, end, context) on disjoint ranges that cover [0, count).
struct Parallel {
  int workers;
  void (*run)(std::int64_t count, void (*body)(std::int64_t, std::int64_t, void*), void* context);
};

#ifdef __SANITIZE_THREAD__
// So many threads that begin and end with every call, for the thread sanitizer.
inline Parallel threads_of_our_own(int workers) {
  Parallel parallel;
  parallel.workers = workers;
  parallel.run = [](std::int64_t count, void (*body)(std::int64_t, std::int64_t, void*), void* context) {
    std::vector<std::thread> threads;
    for (std::int64_t i = 0; i < count; ++i) threads.emplace_back(body, i, i + 1, context);
    for (auto& thread : threads) thread.join();
  };
  return parallel;
}
#endif

// Calls work(tile, worker) for every tile, worker < workers. Threads take the next tile when they are done with one, so
// a thread that the machine holds up delays nobody; which thread takes which tile must have no influence on any result.
template <class Work>
void for_each_tile(std::int64_t tiles, int workers, const Parallel& parallel, const Work& work) {
  struct Context {
    const Work& work;
    std::int64_t tiles;
    int workers;
    std::atomic<std::int64_t> next{0};
    std::atomic<int> worker{0};
  } context{work, tiles, workers};
  const auto body = [](std::int64_t, std::int64_t, void* pointer) {
    auto& c = *static_cast<Context*>(pointer);
    const int worker = c.worker.fetch_add(1);
#ifdef __SANITIZE_THREAD__
    // Handed out by `next`, tiles would be ordered by it in the eyes of the sanitizer, and the first thread might be
    // done with all of them before the second begins. So, neighbours are always in threads that nothing orders.
    for (std::int64_t tile = worker; tile < c.tiles; tile += c.workers) c.work(tile, worker);
#else
    for (std::int64_t tile = c.next.fetch_add(1); tile < c.tiles; tile = c.next.fetch_add(1)) c.work(tile, worker);
#endif
  };
  if (workers == 1) {
    body(0, 1, &context);
  } else {
    parallel.run(workers, body, &context);
  }
}

// Lets the tiles of `for_each_tile` add to something shared one after the other, in their own order, whoever computed
// them: the bits do not depend on the threads. The wait is short, since tiles are handed out in that order, and it
// ends, since the first in line never waits.
class Turns {
 public:
  template <class Work>
  void take(std::int64_t tile, const Work& work) {
    while (turn_.load(std::memory_order_acquire) != tile) std::this_thread::yield();
    work();
    turn_.store(tile + 1, std::memory_order_release);
  }

 private:
  std::atomic<std::int64_t> turn_{0};
};

}  // namespace symflow
