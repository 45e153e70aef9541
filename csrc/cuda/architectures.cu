#include "architectures.h"

namespace symflow {

// nvcc itself says what it compiles for, so this cannot differ from what the library holds.
const int cuda_architectures[] = {__CUDA_ARCH_LIST__, 0};

}  // namespace symflow
