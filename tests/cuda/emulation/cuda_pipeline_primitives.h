// Asynchronous copies into shared memory, emulated: their numbers arrive when the thread waits for them, not before.
#pragma once

#include "cuda_runtime.h"

inline void __pipeline_memcpy_async(void* to, const void* from, std::size_t bytes) {
  auto& self = *cuda_emulation::block.current;
  const auto at = reinterpret_cast<std::uintptr_t>(to) | reinterpret_cast<std::uintptr_t>(from);
  if ((bytes != 4 && bytes != 8 && bytes != 16) || at % bytes != 0) {
    cuda_emulation::fail("an asynchronous copy has an odd size or address");
  }
  std::memset(to, cuda_emulation::Block::poison, bytes);
  self.copies.push_back({to, from, bytes, self.committed});
}

inline void __pipeline_commit() { ++cuda_emulation::block.current->committed; }

inline void __pipeline_wait_prior(int groups) {
  auto& self = *cuda_emulation::block.current;
  const auto late = [&](const cuda_emulation::Copy& copy) { return copy.group + groups >= self.committed; };
  for (const auto& copy : self.copies) {
    if (!late(copy)) std::memcpy(copy.to, copy.from, copy.bytes);
  }
  std::erase_if(self.copies, [&](const auto& copy) { return !late(copy); });
}
