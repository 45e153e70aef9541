#pragma once

namespace symflow {

// The GPU architectures compiled in, as 100 times their compute capability (900 is 9.0), ended by a zero.
extern const int cuda_architectures[];

}  // namespace symflow
