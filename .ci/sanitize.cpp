// A fault of each kind that .ci/sanitize looks for, and work without any, called from Python as the kernels are: a
// sanitizer that sees nothing, or what is not there, must not pass for code that is clean.
#include "../csrc/cpu/parallel.h"

#ifdef __SANITIZE_THREAD__
// Four workers add up what the tiles have.
extern "C" std::int64_t without_turns(int tiles) {
  std::int64_t sum = 0;
  symflow::for_each_tile(tiles, 4, symflow::threads_of_our_own(4), [&](std::int64_t tile, int) { sum += tile; });
  return sum;
}

extern "C" std::int64_t sound(int tiles) {
  std::int64_t sum = 0;
  symflow::Turns turns;
  symflow::for_each_tile(tiles, 4, symflow::threads_of_our_own(4),
                         [&](std::int64_t tile, int) { turns.take(tile, [&] { sum += tile; }); });
  return sum;
}
#else
extern "C" int past_the_end(int n) { return symflow::zeros<int>(n)[n]; }

extern "C" int beyond_int(int n) { return n + 2147483647; }

extern "C" int sound(int n) { return symflow::zeros<int>(n)[n - 1] + n; }
#endif
