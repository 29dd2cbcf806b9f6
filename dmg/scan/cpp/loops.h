// Loops within a step: each lane keeps its values once it is done. x holds the N values that a
// loop carries, then its K constants.

#ifndef SINGLE
static inline bool any(M m) { return m; }
#endif

struct Unkept { void operator()(int, const V*) const {} };

// What is carried after the last pass stands in x; `keep` sees it before each pass. Returns the
// number of passes of the slowest lane.
template <int N, auto condition, auto body, class Keep = Unkept>
static inline int repeat(int limit, V* x, const Keep& keep = {}) {
  for (int i = 0; i < limit; ++i) {
    const M active = condition(x);
    if (!any(active)) return i;
    keep(i, x);
    V y[N];
    body(x, y);
    for (int k = 0; k < N; ++k) x[k] = where_(active, y[k], x[k]);
  }
  return limit;
}

// What a loop carried before each pass, for its adjoint.
template <int N> struct Passes {
  Scratch rows;
  int count = 0;
  explicit Passes(int64_t limit) : rows(limit * N * LANES) {}
  void operator()(int i, const V* x) const {
    for (int k = 0; k < N; ++k) store(rows.start + (i * N + k) * LANES, x[k]);
  }
  void recall(int i, V* x) const {
    for (int k = 0; k < N; ++k) x[k] = load(rows.start + (i * N + k) * LANES);
  }
};

// g: gradients of what was carried at the end, and zeros, become those of all that was given.
template <int N, int K, auto condition, auto adjoint>
static inline void walk_back(const Passes<N>& passes, const V* end, V* g) {
  V x[N + K], y[N + K];
  for (int k = N; k < N + K; ++k) x[k] = end[k];
  for (int i = passes.count; i-- > 0;) {
    passes.recall(i, x);
    const M active = condition(x);
    adjoint(x, g, y);
    for (int k = 0; k < N; ++k) g[k] = where_(active, y[k], g[k]);
    for (int k = N; k < N + K; ++k) g[k] = where_(active, g[k] + y[k], g[k]);
  }
}

