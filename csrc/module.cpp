// The operators of symflow, every schema on one screen, and `symflow._C`: which of the kernels run here. It keeps to
// Python's limited interface, as the operators keep to torch's stable one: one library serves every later version of
// both.
#include <Python.h>
#include <torch/csrc/stable/library.h>

#include <string>

#include "cpu/isa.h"
#if defined(SYMFLOW_WITH_CUDA)
#include "cuda/architectures.h"
#endif

STABLE_TORCH_LIBRARY(symflow, m) {
  // points [B, N, d], weights [B, K], the eight layers of NeuralField, normalised periods (0: none)
  // -> end points [B, N, d], the points before each step [steps, B, N, d] (steps = 0 unless save_states).
  // tf32 lets GPUs round factors of float32 products to TF32.
  m.def(
      "flow(Tensor points, Tensor weights, Tensor trunk0_weight, Tensor trunk0_bias, Tensor trunk1_weight, "
      "Tensor trunk1_bias, Tensor head_weight, Tensor head_bias, Tensor out_weight, Tensor out_bias, "
      "float[] periods, int steps, bool save_states, bool tf32) -> (Tensor, Tensor)");
  // The gradient of the end points -> those of points, weights and the eight layers; zeros where not wanted.
  m.def(
      "flow_backward(Tensor grad, Tensor states, Tensor weights, Tensor trunk0_weight, Tensor trunk0_bias, "
      "Tensor trunk1_weight, Tensor trunk1_bias, Tensor head_weight, Tensor head_bias, Tensor out_weight, "
      "Tensor out_bias, float[] periods, bool weight_gradients, bool parameter_gradients, bool tf32) "
      "-> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)");
  // The same for jets: surface [C, B, N, d]; products, triples (left, right, result) of monomials
  // -> end [C, B, N, d], states [steps, C, B, N, d].
  m.def(
      "jet_flow(Tensor surface, Tensor weights, Tensor trunk0_weight, Tensor trunk0_bias, Tensor trunk1_weight, "
      "Tensor trunk1_bias, Tensor head_weight, Tensor head_bias, Tensor out_weight, Tensor out_bias, "
      "float[] periods, int[] products, int steps, bool save_states) -> (Tensor, Tensor)");
  m.def(
      "jet_flow_backward(Tensor grad, Tensor states, Tensor weights, Tensor trunk0_weight, Tensor trunk0_bias, "
      "Tensor trunk1_weight, Tensor trunk1_bias, Tensor head_weight, Tensor head_bias, Tensor out_weight, "
      "Tensor out_bias, float[] periods, int[] products, bool weight_gradients, bool parameter_gradients) "
      "-> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)");
  // The Taylor coefficients f^(m)(x)/m!, m = 0 .. 6, of silu, for tests. x [n] -> [7, n].
  m.def("silu_taylor(Tensor x) -> Tensor");
  // Moved points [B, N, 3] = (x, t, u), the grid, its period and first and last time -> the sums of u and of 1, each
  // spread over the grid [B, 2, rows, columns]; and the gradient of the points from that of the sums.
  m.def("scatter(Tensor points, int rows, int columns, float period, float first, float last) -> Tensor");
  m.def("scatter_backward(Tensor grad, Tensor points, float period, float first, float last) -> Tensor");
  // Moved points of a grid [B, rows, columns, 3] -> u at the sources of its nodes [B, rows, columns], and the sources
  // [B, rows, columns, 2] as columns and rows, NaN where there is none; and the gradient of the points.
  m.def("resample(Tensor points, float period, float first, float last) -> (Tensor, Tensor)");
  m.def(
      "resample_backward(Tensor grad, Tensor points, Tensor sources, float period, float first, float last) -> Tensor");
  // The parts of these four for one trajectory that are not in Fourier space: float64, positions in cells. A table
  // holds the rows of two or three fields on a finer grid, [rows, fields, 2 columns + 16]; window [terms, 16].
  m.def("scatter_spread(Tensor points, Tensor window, int rows, int columns) -> Tensor");
  m.def("scatter_read(Tensor grad_table, Tensor points, Tensor window) -> Tensor");
  m.def("resample_solve(Tensor moved, Tensor table, Tensor window) -> (Tensor, Tensor)");
  m.def("resample_transpose(Tensor grad, Tensor table, Tensor window, Tensor sources) -> Tensor");
  // points [B, N, d], weights [B, K], values [K, n_1, ..., n_d, d], the box and normalised periods (0: none)
  // -> end points [B, N, d], the points before each step [steps, B, N, d] (steps = 0 unless save_states)
  m.def(
      "grid_flow(Tensor points, Tensor weights, Tensor values, float[] lower, float[] upper, float[] periods, "
      "int steps, bool save_states) -> (Tensor, Tensor)");
  // The gradient of the end points -> those of points, weights and values; zeros where not wanted.
  m.def(
      "grid_flow_backward(Tensor grad, Tensor states, Tensor weights, Tensor values, float[] lower, float[] upper, "
      "float[] periods, bool weight_gradients, bool value_gradients) -> (Tensor, Tensor, Tensor)");
  // warp(images, flow(points)): images [B, C, H, W], points [H', W', 2], weights [1 or B, G, K], a field of two
  // dimensions as for flow and grid_flow, padding as for warp -> [B, G, C, H', W']
  m.def(
      "flow_warp(Tensor images, Tensor points, Tensor weights, Tensor trunk0_weight, Tensor trunk0_bias, "
      "Tensor trunk1_weight, Tensor trunk1_bias, Tensor head_weight, Tensor head_bias, Tensor out_weight, "
      "Tensor out_bias, float[] periods, int steps, int padding) -> Tensor");
  m.def(
      "grid_flow_warp(Tensor images, Tensor points, Tensor weights, Tensor values, float[] lower, float[] upper, "
      "float[] periods, int steps, int padding) -> Tensor");
  // Their gradients of images, weights and field; zeros where not wanted.
  m.def(
      "flow_warp_backward(Tensor grad, Tensor images, Tensor points, Tensor weights, Tensor trunk0_weight, "
      "Tensor trunk0_bias, Tensor trunk1_weight, Tensor trunk1_bias, Tensor head_weight, Tensor head_bias, "
      "Tensor out_weight, Tensor out_bias, float[] periods, int steps, int padding, bool image_gradient, "
      "bool weight_gradients, bool parameter_gradients) "
      "-> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)");
  m.def(
      "grid_flow_warp_backward(Tensor grad, Tensor images, Tensor points, Tensor weights, Tensor values, "
      "float[] lower, float[] upper, float[] periods, int steps, int padding, bool image_gradient, "
      "bool weight_gradients, bool value_gradients) -> (Tensor, Tensor, Tensor)");
  // silu, its derivative, cos 2 pi x and sin 2 pi x as the kernels compute them, for tests. x [n].
  m.def("elementary(Tensor x) -> (Tensor, Tensor, Tensor, Tensor)");
  // images [B, C, H, W], grid [S, G, H', W', 2] with S = 1 or B, padding (0 zeros, 1 border, 2 reflection)
  // -> A images [B, G, C, H', W'], where A is the matrix of bilinear sampling at the grid
  m.def("warp(Tensor images, Tensor grid, int padding) -> Tensor");
  // -> A^T grad, <grad, dA images>; each is empty where not wanted.
  m.def(
      "warp_backward(Tensor grad, Tensor images, Tensor grid, int padding, bool image_gradient, bool grid_gradient) "
      "-> (Tensor, Tensor)");
  // -> A images_dot + (grid_dot . dA) images
  m.def("warp_jvp(Tensor images, Tensor grid, Tensor? images_dot, Tensor? grid_dot, int padding) -> Tensor");
  // -> (grid_dot . dA)^T grad, <grad, dA images_dot + (grid_dot . ddA) images>; each is empty where not wanted.
  m.def(
      "warp_jvp_backward(Tensor grad, Tensor images, Tensor grid, Tensor? images_dot, Tensor? grid_dot, int padding, "
      "bool image_gradient, bool grid_gradient) -> (Tensor, Tensor)");
  // v [rows, modes, 2] complex, the weights of a step [tables, 9, modes, 2], whose table each row takes, how many
  // steps (not rising), the polynomial of the flux, what its transform and v are multiplied by [1 + terms, modes, 2],
  // in time [rows, stages, 1 + terms] (no stages: ones), exp(-2 pi i k/points) [points, 2] -> v after the steps
  m.def(
      "etdrk4(Tensor v, Tensor weights, Tensor table, Tensor steps, Tensor density, Tensor multipliers, "
      "Tensor factors, Tensor roots) -> Tensor");
}

namespace {

// Adds a name to a list; false, with Python's error set, where there is no memory.
bool append(PyObject* list, const std::string& name) {
  PyObject* text = PyUnicode_FromString(name.c_str());
  const bool done = text != nullptr && PyList_Append(list, text) == 0;
  Py_XDECREF(text);
  return done;
}

#if defined(__x86_64__)
constexpr bool every_isa = true;
#else
constexpr bool every_isa = false;
#endif

PyObject* isas(bool compiled) {
  PyObject* list = PyList_New(0);
  for (int i = 0; i < 3 && list != nullptr; ++i) {
    const bool listed = (compiled && every_isa) || symflow::isa_available(symflow::Isa(i));
    if (listed && !append(list, symflow::isa_names[i])) Py_CLEAR(list);
  }
  return list;
}

PyObject* compiled_isas(PyObject*, PyObject*) { return isas(true); }

PyObject* available_isas(PyObject*, PyObject*) { return isas(false); }

PyObject* isa(PyObject*, PyObject*) { return PyUnicode_FromString(symflow::isa_names[int(symflow::selected_isa())]); }

PyObject* select_isa(PyObject*, PyObject* argument) {
  PyObject* bytes = PyUnicode_AsUTF8String(argument);
  if (bytes == nullptr) return nullptr;
  const bool done = symflow::select_isa(PyBytes_AsString(bytes));
  Py_DECREF(bytes);
  if (!done) {
    std::string names;
    for (int i = 0; i < 3; ++i) {
      if (!symflow::isa_available(symflow::Isa(i))) continue;
      names += (names.empty() ? "" : ", ") + std::string(symflow::isa_names[i]);
    }
    PyErr_Format(PyExc_ValueError, "`name` must be one of %s on this machine, got %R", names.c_str(), argument);
    return nullptr;
  }
  Py_RETURN_NONE;
}

PyObject* cuda_architectures(PyObject*, PyObject*) {
  PyObject* list = PyList_New(0);
#if defined(SYMFLOW_WITH_CUDA)
  for (const int* gpu = symflow::cuda_architectures; *gpu != 0 && list != nullptr; ++gpu) {
    if (!append(list, std::to_string(*gpu / 100) + "." + std::to_string(*gpu / 10 % 10))) Py_CLEAR(list);
  }
#endif
  return list;
}

// The oldest torch this library loads with: the bytes of the macro are major, minor, patch.
PyObject* oldest_torch(PyObject*, PyObject*) {
  const unsigned long long target = TORCH_TARGET_VERSION;
  return PyUnicode_FromFormat("%d.%d", int(target >> 56), int(target >> 48 & 0xff));
}

PyMethodDef functions[] = {
    {"compiled_isas", compiled_isas, METH_NOARGS, "The instruction sets compiled in."},
    {"available_isas", available_isas, METH_NOARGS, "Those that this machine offers."},
    {"isa", isa, METH_NOARGS, "The one in use."},
    {"select_isa", select_isa, METH_O, "Chooses the instruction set of the calls that follow."},
    {"cuda_architectures", cuda_architectures, METH_NOARGS,
     "The compute capabilities of the GPUs compiled for; empty without CUDA."},
    {"oldest_torch", oldest_torch, METH_NOARGS, "The oldest torch this library loads with."},
    {nullptr, nullptr, 0, nullptr},
};

PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    "_C",
    "Registers the operators; which kernels are compiled in, and which of them run.",
    0,
    functions,
    nullptr,
    nullptr,
    nullptr,
    nullptr,
};

}  // namespace

PyMODINIT_FUNC PyInit__C() { return PyModule_Create(&definition); }
