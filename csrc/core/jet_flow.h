// The flow of jets, as its kernels are asked for it.
#pragma once

#include "flow.h"
#include "jet_algebra.h"

namespace symflow {

// Where FlowArguments says [B, N, d] the arrays are [C, B, N, d].
template <class T>
struct JetFlowArguments : FlowArguments<T> {
  const JetAlgebra* algebra;
};

}  // namespace symflow
