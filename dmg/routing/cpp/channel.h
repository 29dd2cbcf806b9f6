// Flow in a reach with a power-law cross section, and its adjoint, for LANES reaches at once.

struct Minima { T discharge, slope, velocity, depth, width; };
constexpr T STEEPEST = 15;  // m s-1, largest velocity
constexpr T EXPONENT = 1e-6, DENOMINATOR = 1e-8;  // added so that no exponent or slope is zero

// Constants of the reaches of a piece, one row for each.
enum { LOG_A, POWER, SHAPE, LOG_WIDTH, CONVEYANCE, TWICE_LENGTH, WEIGHT, NUM_CONSTANTS };

struct Channel {
  V log_a, power, shape, log_width, conveyance, twice_length, weight;
  Channel(const T* rows, int64_t stride, int64_t i)
      : log_a(load(rows + LOG_A * stride + i)), power(load(rows + POWER * stride + i)),
        shape(load(rows + SHAPE * stride + i)), log_width(load(rows + LOG_WIDTH * stride + i)),
        conveyance(load(rows + CONVEYANCE * stride + i)),
        twice_length(load(rows + TWICE_LENGTH * stride + i)),
        weight(load(rows + WEIGHT * stride + i)) {}
};

#ifndef SINGLE
static inline bool any(M m) { return m; }
#endif
// Of positive normal numbers only, as discharge, radius and parameters are.
#ifdef SINGLE
static inline V log_(V x) { return log_parts(x).high; }
#else
static inline V log_(V x) { return std::log(x); }
#endif

// depth = (a discharge)^power, width = exp(log_width) depth^shape, velocity = conveyance radius^2/3
static void derive(const Minima& m, T* rows, int64_t stride, const T* n, const T* q, const T* p,
                   const T* length, const T* slope, const T* x) {
  for (int64_t i = 0; i < stride; i += LANES) {
    const V shape = load(q + i) + EXPONENT, root = sqrt_(max_bounded(load(slope + i), splat(m.slope)));
    const V a = load(n + i) * (shape + T(1)) / (load(p + i) * root + DENOMINATOR);
    store(rows + LOG_A * stride + i, log_(a));
    store(rows + POWER * stride + i, T(3) / (T(5) + T(3) * shape));
    store(rows + SHAPE * stride + i, shape);
    store(rows + LOG_WIDTH * stride + i, log_(load(p + i)));
    const V nan = T(0) * (load(q + i) + load(p + i));  // if one of them is, which log may hide
    store(rows + CONVEYANCE * stride + i, root / load(n + i) + nan);
    store(rows + TWICE_LENGTH * stride + i, T(2) * load(length + i));
    store(rows + WEIGHT * stride + i, load(x + i));
  }
}

// Cross section and wave at a discharge; names as in the text, `free` ones before their limits.
struct Section {
  V log_free, log_depth, free_depth, depth, width, free_side, side, slant, free_bottom, bottom;
  V area, perimeter, radius, free_velocity, celerity;
  Section(V discharge, const Channel& c, const Minima& m) {
    log_free = log_(discharge) + c.log_a;
    free_depth = exp_(c.power * log_free);
    depth = max_bounded(free_depth, splat(m.depth));
    log_depth = max_bounded(c.power * log_free, splat(std::log(m.depth)));
    width = exp_(c.log_width + c.shape * log_depth);
    free_side = width * c.shape / (depth + depth);
    side = min_bounded(max_bounded(free_side, splat(T(0.5))), splat(T(50)));
    slant = sqrt_(T(1) + side * side);
    free_bottom = width - T(2) * side * depth;
    bottom = max_bounded(free_bottom, splat(m.width));
    area = (width + bottom) * depth * T(0.5);
    perimeter = bottom + T(2) * depth * slant;
    radius = area / perimeter;
    free_velocity = exp_(log_(radius) * T(2. / 3)) * c.conveyance;
    const V velocity = min_bounded(max_bounded(free_velocity, splat(m.velocity)), splat(STEEPEST));
    celerity = velocity * T(5. / 3);
  }
};

// Muskingum's weights, all times the celerity: no reach divides but once.
struct Muskingum {
  V storage, spread, denominator;  // spread: what multiplies 2 L
  Muskingum(V celerity, V flow, V above, V above_next, const Channel& c, T dt) {
    storage = c.twice_length;
    spread = c.weight * (above - above_next) + (T(1) - c.weight) * flow;
    denominator = storage * (T(1) - c.weight) + dt * celerity;
  }
};
static inline V advanced(const Muskingum& k, V celerity, V flow, V above, V above_next, V lateral, T dt) {
  return (dt * celerity * (above_next + above - flow + lateral + lateral) + k.storage * k.spread) /
         k.denominator;
}

// Sums over time from which the gradients of n, q and p follow.
enum { BY_VELOCITY, BY_A, BY_WIDTH, BY_SHAPE, NUM_SLOPES };

static inline void add(T* to, V value) { store(to, load(to) + value); }
static inline V if_(M m, V value) { return where_(m, value, V{}); }

// Gradient of the discharge from that of the celerity; adds to the sums of the reaches at i.
static inline V adjoin(const Section& s, const Channel& c, const Minima& m, V discharge,
                       V by_celerity, T* sums, int64_t stride, int64_t i) {
  const M within = and_(s.free_velocity >= m.velocity, s.free_velocity <= STEEPEST);
  const V by_log_velocity = if_(within, by_celerity * T(5. / 3) * s.free_velocity);
  const V by_radius = T(2. / 3) * by_log_velocity / s.radius;
  const V by_area = by_radius / s.perimeter, by_perimeter = -by_area * s.radius;
  const V half = T(0.5) * by_area;
  const V by_bottom = if_(s.free_bottom >= m.width, half * s.depth + by_perimeter);
  V by_width = half * s.depth + by_bottom;
  V by_depth = half * (s.width + s.bottom) + T(2) * by_perimeter * s.slant - T(2) * by_bottom * s.side;
  V by_side = T(2) * s.depth * (by_perimeter * s.side / s.slant - by_bottom);
  by_side = if_(and_(s.free_side >= T(0.5), s.free_side <= T(50)), by_side);
  const V relative = s.free_side / c.shape;  // width / (2 depth)
  by_width += by_side * c.shape * T(0.5) / s.depth;
  by_depth -= by_side * s.free_side / s.depth;
  const V by_log_width = by_width * s.width;
  by_depth += by_log_width * c.shape / s.depth;
  const V by_log_depth = if_(s.free_depth >= m.depth, by_depth * s.free_depth);
  const V by_log_a = by_log_depth * c.power;
  add(sums + BY_VELOCITY * stride + i, by_log_velocity);
  add(sums + BY_A * stride + i, by_log_a);
  add(sums + BY_WIDTH * stride + i, by_log_width);
  add(sums + BY_SHAPE * stride + i, by_log_width * s.log_depth + by_side * relative -
                                        by_log_depth * s.log_free * c.power * c.power);
  return by_log_a / discharge;
}
