"""What one core can do by the kernels' own functions, and the least time of a step."""

from __future__ import annotations

import ctypes
from collections import Counter

from dmg.scan.compile import load
from dmg.scan.emit import part
from dmg.scan.ir import Graph

_SOURCE = (
    "#define SINGLE\n"
    + part("lanes.h")
    + part("functions.h")
    + """
#include <chrono>
static double seconds() {
  using clock = std::chrono::steady_clock;
  return std::chrono::duration<double>(clock::now().time_since_epoch()).count();
}
template <class F> static double least(F f, double count) {
  double best = 1e9;
  for (int i = 0; i < 9; ++i) {
    double start = seconds();
    f();
    best = std::min(best, seconds() - start);
  }
  return best / count * 1e9;
}
constexpr int N = 2048, REPEATS = 500;
alignas(64) static T x[N], y[N], z[N];
template <class F> static double function(F f) {
  return least([&] {
    for (int r = 0; r < REPEATS; ++r) {
      for (int i = 0; i < N; i += LANES) store(z + i, f(load(x + i), load(y + i)));
      asm volatile("" ::: "memory");
    }
  }, double(N) * REPEATS);
}
// ns per element: a fused multiply-add, division, exp, log, pow; ns per byte read and written.
extern "C" void limits(double* result) {
  for (int i = 0; i < N; ++i) x[i] = 0.1f + 0.01f * (i % 97), y[i] = 1.f + 0.25f * (i % 13);
  result[0] = least([] {
    V a = splat(1.f), b = a, c = a, d = a, e = a, f = a, g = a, h = a, m = splat(0.999f);
    for (int i = 0; i < 200000; ++i) {
      a = fma_(a, m, m), b = fma_(b, m, m), c = fma_(c, m, m), d = fma_(d, m, m);
      e = fma_(e, m, m), f = fma_(f, m, m), g = fma_(g, m, m), h = fma_(h, m, m);
    }
    store(z, a + b + c + d + e + f + g + h);
    asm volatile("" ::: "memory");
  }, 200000. * 8 * LANES);
  result[1] = function([](V a, V b) { return a / b; });
  result[2] = function([](V a, V b) { return exp_(a); });
  result[3] = function([](V a, V b) { return log_of(log_parts(a), a); });
  result[4] = function([](V a, V b) { return pow_of(log_parts(a), a, b); });
  const size_t size = size_t(1) << 26;
  char* from = static_cast<char*>(std::malloc(size)), *to = static_cast<char*>(std::malloc(size));
  std::memset(from, 1, size), std::memset(to, 1, size);
  result[5] = least([=] { std::memcpy(to, from, size); asm volatile("" ::: "memory"); }, 2. * size);
  std::free(from), std::free(to);
}
"""
)
NAMES = ("fma", "div", "exp", "log", "pow", "byte")


def limits() -> dict[str, float]:
    """Nanoseconds per element of each operation, and per byte read or written in main memory."""
    found = (ctypes.c_double * len(NAMES))()
    load(_SOURCE).limits(found)
    return dict(zip(NAMES, found, strict=True))


def arithmetic(graph: Graph, costs: dict[str, float]) -> float:
    """Nanoseconds that the operations of a step take at full throughput, one element."""
    counts = Counter(n.op for n in graph.nodes if n.args)
    return sum(costs.get(op, costs["fma"]) * count for op, count in counts.items())
