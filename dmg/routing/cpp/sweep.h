// The time loop of Muskingum-Cunge routing over a network, and its adjoint.
//
// Piece by piece, each for all steps: what it works on stays in the cache of its core. A step goes
// through the blocks of a piece once, upstream before downstream; its adjoint the other way.

struct Run {
  const Plan* plan;
  int64_t steps, substeps, shift, every, threads;  // steps: of the inflow; every: to a checkpoint
  double dt, missing, discharge, slope, velocity, depth, width;
  const T *inflow, *before, *start;  // [steps, N], of the step before the first [N], [N]
  const T *n, *q, *p, *length, *slopes, *x;
  T *sums, *end;  // [steps + 1, N]: the last row only where days are shifted; [N]
  double* floored;
  T *checkpoints, *series;  // [segments, slots] or null; [rows, substeps * steps + 1]
  Minima minima() const { return {T(discharge), T(slope), T(velocity), T(depth), T(width)}; }
  int64_t moments() const { return steps * substeps; }
  T* crossing(const Link& link) const { return series + link.row * (moments() + 1); }
};

struct Adjoint {
  const T *sums, *end;  // gradients of the results
  T *inflow, *before, *start, *n, *q, *p;  // those to give
  T* series;
};

#if defined(SINGLE) && defined(AVX512)
static inline V pick(const T* from, const int32_t* slots) {
  return (V)_mm512_i32gather_ps(_mm512_loadu_si512(slots), from, sizeof(T));
}
#elif defined(SINGLE) && defined(AVX2)
static inline V pick(const T* from, const int32_t* slots) {
  return (V)_mm256_i32gather_ps(from, _mm256_loadu_si256((const __m256i*)slots), sizeof(T));
}
#elif defined(SINGLE)
static inline V pick(const T* from, const int32_t* slots) {
  V v{};
  for (int i = 0; i < LANES; ++i) v[i] = from[slots[i]];
  return v;
}
#else
static inline V pick(const T* from, const int32_t* slots) { return from[*slots]; }
#endif

// Flows stand in memory as they were solved for, before their floor: that of the zero slot is 0,
// which no lateral inflow lets a reach have.
static inline V at_least(V flow, V least) { return max_bounded(flow, least); }

// Sums over the reaches directly upstream: as solved for, and as they flow.
struct Above { V solved{}, flow{}; };
static inline Above above(const Piece& piece, int64_t block, const T* flow, V least) {
  Above sum;
  for (int32_t k = piece.columns[block]; k < piece.columns[block + 1]; k += LANES) {
    const V value = pick(flow, piece.upstream.data() + k);
    sum.solved += value;
    sum.flow += if_(value != V{}, at_least(value, least));
  }
  return sum;
}

// Values of the reaches of a piece, in the order of its slots; spare ones repeat the first.
static void collect(const Piece& piece, const T* values, T* slots) {
  for (int64_t s = 0; s < piece.slots; ++s) slots[s] = values[piece.reach[s] < 0 ? piece.reach[0] : piece.reach[s]];
}
template <class F> static void deliver(const Piece& piece, F give) {
  for (int64_t s = 0; s < piece.slots; ++s)
    if (piece.reach[s] >= 0) give(s, piece.reach[s]);
}

// Memory of one thread: grows to what its largest piece needs.
class Memory {
  std::unique_ptr<Scratch> scratch;
  int64_t size = 0;
 public:
  T* take(int64_t count) {
    if (count > size) scratch.reset(new Scratch(size = count));
    std::fill_n(scratch->start, count, T(0));
    return scratch->start;
  }
};

// Lateral inflow of the piece: that of the step which a moment lies in.
struct Lateral {
  const Run& run;
  const Piece& piece;
  T* values;
  int64_t loaded = -2;
  const T* row(int64_t step) const { return step < 0 ? run.before : run.inflow + step * run.plan->reaches; }
  static int64_t step_of(const Run& run, int64_t moment) { return moment ? (moment - 1) / run.substeps : -1; }
  const T* at(int64_t moment) {
    const int64_t step = step_of(run, moment);
    if (step == loaded) return values;
    loaded = step;
    collect(piece, row(step), values);
    const T least = run.discharge, missing = std::max(run.missing, run.discharge);
    for (int64_t s = 0; s < piece.slots; ++s) {
      const T q = values[s];
      values[s] = q != q ? missing : q > least ? q : least;
    }
    return values;
  }
};

static void constants(const Run& run, const Piece& piece, T* rows, T* scratch) {
  const T* from[] = {run.n, run.q, run.p, run.length, run.slopes, run.x};
  const int64_t stride = piece.slots;
  for (int k = 0; k < 6; ++k) collect(piece, from[k], scratch + k * stride);
  derive(run.minima(), rows, stride, scratch, scratch + stride, scratch + 2 * stride,
         scratch + 3 * stride, scratch + 4 * stride, scratch + 5 * stride);
}

// One step of all blocks: flows, and sums of those upstream, become those of the next moment in
// `to` and `upper_to`, which may be the same memory.
template <class Floor>
static inline void step(const Run& run, const Piece& piece, const T* rows, const T* lateral,
                        const T* flow, const T* upper, T* to, T* upper_to, Floor floored) {
  const Minima m = run.minima();
  const T dt = run.dt;
  const V least = splat(m.discharge);
  for (int64_t b = 0; b < piece.blocks(); ++b) {
    const int64_t i = b * LANES;
    const Channel c(rows, piece.slots, i);
    const V q = at_least(load(flow + i), least), u = load(upper + i);
    const Above next = above(piece, b, to, least);
    const Section s(q, c, m);
    const Muskingum k(s.celerity, q, u, next.solved, c, dt);
    const V raw = advanced(k, s.celerity, q, u, next.solved, load(lateral + i), dt);
    const V raised = next.flow - next.solved;
    if (__builtin_expect(any(or_(raw < m.discharge, raised != V{})), 0)) {
      const V time = T(0.5) * c.twice_length / s.celerity, own = max_bounded(m.discharge - raw, V{});
      floored(i, own, time * ((T(1) - c.weight) * own + c.weight * raised));
    }
    store(to + i, raw);
    store(upper_to + i, next.flow);
  }
}

static void forward_piece(const Run& run, const Piece& piece, Memory& memory) {
  const int64_t S = piece.slots, N = run.plan->reaches, moments = run.moments();
  T* rows = memory.take((NUM_CONSTANTS + 11) * S + piece.width());
  T *upper = rows + NUM_CONSTANTS * S, *sum = upper + S, *lost = sum + S, *lateral = lost + S;
  T *leaves = lateral + S, *flow = leaves + S;
  constants(run, piece, rows, flow + piece.width());
  collect(piece, run.start, flow);
  flow[piece.zero()] = 0;
  deliver(piece, [&](int64_t s, int64_t r) {  // half of what an outlet gains leaves at once
    leaves[s] = run.plan->downstream[r] < 0 ? T(0.5 * run.dt) : T(0);
  });
  for (const Link& g : piece.ghosts) flow[g.slot] = run.crossing(g)[0];
  for (const Link& e : piece.exits) run.crossing(e)[0] = flow[e.slot];
  const V least = splat(run.discharge);
  for (int64_t b = 0; b < piece.blocks(); ++b) store(upper + b * LANES, above(piece, b, flow, least).flow);
  Lateral inflow{run, piece, lateral};
  const auto lose = [=](int64_t i, V own, V stored) { add(lost + i, stored + own * load(leaves + i)); };
  for (int64_t h = 0; h < moments; ++h) {
    if (run.checkpoints && h % run.every == 0)
      std::copy_n(flow, S, run.checkpoints + h / run.every * run.plan->slots + piece.first);
    for (const Link& g : piece.ghosts) flow[g.slot] = run.crossing(g)[h + 1];
    step(run, piece, rows, inflow.at(h), flow, upper, flow, upper, lose);
    for (const Link& e : piece.exits) run.crossing(e)[h + 1] = flow[e.slot];
    for (int64_t i = 0; i < S; i += LANES) add(sum + i, at_least(load(flow + i), least));
    if ((h + 1 + run.shift) % run.substeps && h + 1 < moments) continue;
    T* out = run.sums + (h + run.shift) / run.substeps * N;
    deliver(piece, [&](int64_t s, int64_t r) { out[r] = sum[s], run.floored[r] += lost[s]; });
    std::fill_n(sum, S, T(0));
    std::fill_n(lost, S, T(0));
  }
  deliver(piece, [&](int64_t s, int64_t r) { run.end[r] = flow[s] < run.discharge ? T(run.discharge) : flow[s]; });
}

// Gradients of the reaches' parameters from the sums over time.
static void hand_over(const Run& run, const Piece& piece, const T* rows, const T* sums, const Adjoint& g) {
  const int64_t S = piece.slots;
  deliver(piece, [&](int64_t s, int64_t r) {
    const T velocity = sums[BY_VELOCITY * S + s], a = sums[BY_A * S + s];
    const T root = std::sqrt(std::max(run.slopes[r], T(run.slope)));
    g.n[r] = (a - velocity) / run.n[r];
    g.q[r] = sums[BY_SHAPE * S + s] + a / (rows[SHAPE * S + s] + 1);
    g.p[r] = sums[BY_WIDTH * S + s] / run.p[r] - a * root / (run.p[r] * root + DENOMINATOR);
  });
}

// One step back. `by_flow` holds the gradient of what was solved for, but for the mean and the
// reaches downstream in the same step, and gets that of the moment before.
static inline void step_back(const Run& run, const Piece& piece, const T* rows, const T* lateral,
                             const T* flow, const T* upper, const T* flow_next, const T* by_mean,
                             T* by_flow, T* by_next, T* by_now, T* by_lateral, T* sums) {
  const Minima m = run.minima();
  const T dt = run.dt;
  const V least = splat(m.discharge);
  const int32_t* down = piece.downstream.data();
  for (int64_t b = piece.blocks(); b-- > 0;) {
    const int64_t i = b * LANES;
    const Channel c(rows, piece.slots, i);
    const V solved = load(flow + i), q = at_least(solved, least), u = load(upper + i);
    const V out = load(flow_next + i), next = above(piece, b, flow_next, least).solved;
    const V by_out = load(by_flow + i) + if_(out >= m.discharge, load(by_mean + i)) + pick(by_next, down + i);
    const Section s(q, c, m);
    const Muskingum k(s.celerity, q, u, next, c, dt);
    const V share = by_out / k.denominator, stored = k.storage * c.weight, passing = dt * s.celerity;
    const V inflows = next + u - q + T(2) * load(lateral + i);
    const V by_celerity = share * dt * (inflows - out);
    store(by_next + i, share * (passing - stored));
    store(by_now + i, share * (passing + stored));
    add(by_lateral + i, T(2) * share * passing);
    const V kept = share * (k.storage * (T(1) - c.weight) - passing) + pick(by_now, down + i);
    const V by_q = kept + adjoin(s, c, m, q, by_celerity, sums, piece.slots, i);
    store(by_flow + i, if_(solved >= m.discharge, by_q));
  }
}

static void backward_piece(const Run& run, const Adjoint& g, const Piece& piece, Memory& memory) {
  const int64_t S = piece.slots, W = piece.width(), N = run.plan->reaches, moments = run.moments();
  const int64_t segments = (moments + run.every - 1) / run.every;
  T* rows = memory.take((NUM_CONSTANTS + NUM_SLOPES + 4 + 6) * S + 3 * W + (run.every + 1) * (S + W));
  T *sums = rows + NUM_CONSTANTS * S, *lateral = sums + NUM_SLOPES * S, *by_lateral = lateral + S;
  T *by_mean = by_lateral + S, *by_flow = by_mean + S, *by_next = by_flow + W, *by_now = by_next + W;
  T *flows = by_now + W, *uppers = flows + (run.every + 1) * W;
  constants(run, piece, rows, uppers + (run.every + 1) * S);
  collect(piece, g.end, by_flow);
  for (int64_t s = 0; s < S; ++s) if (piece.reach[s] < 0) by_flow[s] = 0;
  const V least = splat(run.discharge);
  Lateral inflow{run, piece, lateral};
  int64_t mean = -1;
  const auto series = [&](const Link& l) { return g.series + l.row * (moments + 1); };
  const auto give_lateral = [&](int64_t step) {
    const T* value = inflow.row(step);
    T* to = step < 0 ? g.before : g.inflow + step * N;
    deliver(piece, [&](int64_t s, int64_t r) { to[r] = value[r] > run.discharge ? by_lateral[s] : T(0); });
    std::fill_n(by_lateral, S, T(0));
  };
  for (int64_t segment = segments; segment-- > 0;) {
    const int64_t first = segment * run.every, count = std::min(run.every, moments - first);
    std::copy_n(run.checkpoints + segment * run.plan->slots + piece.first, S, flows);
    for (int64_t j = 0; j <= count; ++j) {
      flows[j * W + piece.zero()] = 0;
      for (const Link& ghost : piece.ghosts) flows[j * W + ghost.slot] = run.crossing(ghost)[first + j];
    }
    for (int64_t b = 0; b < piece.blocks(); ++b) store(uppers + b * LANES, above(piece, b, flows, least).flow);
    for (int64_t j = 0; j < count; ++j)
      step(run, piece, rows, inflow.at(first + j), flows + j * W, uppers + j * S,
           flows + (j + 1) * W, uppers + (j + 1) * S, [](int64_t, V, V) {});
    if (first + count == moments)
      for (int64_t s = 0; s < S; ++s)
        if (flows[count * W + s] < run.discharge) by_flow[s] = 0;
    for (int64_t j = count; j-- > 0;) {
      const int64_t h = first + j, row = (h + run.shift) / run.substeps;
      if (row != mean) {
        collect(piece, g.sums + (mean = row) * N, by_mean);
        for (int64_t s = 0; s < S; ++s) if (piece.reach[s] < 0) by_mean[s] = 0;
      }
      for (const Link& e : piece.exits) by_flow[e.slot] += series(e)[h + 1];
      const T* values = inflow.at(h);
      step_back(run, piece, rows, values, flows + j * W, uppers + j * S, flows + (j + 1) * W,
                by_mean, by_flow, by_next, by_now, by_lateral, sums);
      for (const Link& ghost : piece.ghosts) {
        const int32_t down = piece.downstream[ghost.slot];
        series(ghost)[h + 1] += by_next[down];
        if (!(flows[j * W + ghost.slot] < run.discharge)) series(ghost)[h] += by_now[down];
      }
      if (h == 0 || Lateral::step_of(run, h - 1) != inflow.loaded) give_lateral(inflow.loaded);
    }
  }
  for (const Link& e : piece.exits) by_flow[e.slot] += series(e)[0];
  deliver(piece, [&](int64_t s, int64_t r) { g.start[r] = by_flow[s]; });
  hand_over(run, piece, rows, sums, g);
}

// Pieces of one level at a time, upstream levels first or last.
template <class F> static void over_pieces(const Run& run, bool reverse, F work) {
  const Plan& plan = *run.plan;
  const int64_t count = int64_t(plan.levels.size()) - 1;
  const unsigned mode = float_mode();
#pragma omp parallel num_threads(run.threads) if (run.threads > 1 && plan.pieces.size() > 1)
  {
    const unsigned own = float_mode();
    set_float_mode(mode);
    Memory memory;
    for (int64_t k = 0; k < count; ++k) {
      const int64_t level = reverse ? count - 1 - k : k;
#pragma omp for schedule(dynamic)
      for (int64_t p = plan.levels[level]; p < plan.levels[level + 1]; ++p) work(plan.pieces[p], memory);
    }
    set_float_mode(own);
  }
}

extern "C" Plan* plan(int64_t count, const int64_t* downstream, int64_t target) {
  return planned(count, downstream, target);
}
extern "C" void discard(Plan* plan) { delete plan; }
extern "C" int64_t slots(const Plan* plan) { return plan->slots; }
extern "C" int64_t rows(const Plan* plan) { return plan->rows; }

extern "C" void forward(const Run* run) {
  over_pieces(*run, false, [run](const Piece& piece, Memory& m) { forward_piece(*run, piece, m); });
}
extern "C" void backward(const Run* run, const Adjoint* g) {
  over_pieces(*run, true, [=](const Piece& piece, Memory& m) { backward_piece(*run, *g, piece, m); });
}

// Sums over all reaches upstream, in place, for `count` rows; transposed: over all downstream.
extern "C" void accumulate(const Plan* plan, T* values, int64_t count, bool transposed) {
  const std::vector<int64_t>& order = plan->order;
  for (int64_t k = 0; k < count; ++k, values += plan->reaches) {
    if (!transposed) {
      for (int64_t i : order)
        if (plan->downstream[i] >= 0) values[plan->downstream[i]] += values[i];
    } else {
      for (auto i = order.rbegin(); i != order.rend(); ++i)
        if (plan->downstream[*i] >= 0) values[*i] += values[plan->downstream[*i]];
    }
  }
}
