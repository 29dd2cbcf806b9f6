// Series of the batch in memory, and tiles of whole basins that one thread carries through time.

constexpr int GROUP = VECTORS * LANES;  // elements that a step computes in one go

// Functions of a whole tile stay out of line: the compiler is done a third sooner.

// T x B x E by strides [elements]; 0 where a value holds for all times, basins or components.
struct Series { T* data; int64_t time, basin, component; };
struct Size { int64_t steps, basins, components, tile, threads; };  // tile: its basins

struct Tile {
  int64_t first, basins, components, width;  // width: elements, rounded up to whole groups
  bool full;                                 // no lanes but those of elements
  Tile(const Size& s, int64_t index)
      : first(index * s.tile), basins(std::min(s.tile, s.basins - first)), components(s.components),
        width((basins * components + GROUP - 1) / GROUP * GROUP),
        full(width == basins * components) {}
};

static inline int64_t widest(const Size& s) {
  return (s.tile * s.components + GROUP - 1) / GROUP * GROUP;
}
static inline int64_t tiles(const Size& s) { return (s.basins + s.tile - 1) / s.tile; }

static inline T* at(const Series& s, const Tile& tile, int64_t t) {
  return s.data + t * s.time + tile.first * s.basin;
}
static inline bool in_place(const Series& s, const Tile& tile) {
  return tile.full && s.component == 1 && s.basin == tile.components;
}

template <int E> static void spread_fixed(const T* p, int64_t stride, int64_t basins, T* buffer) {
  for (int64_t b = 0; b < basins; ++b)
    for (int e = 0; e < E; ++e) buffer[b * E + e] = p[b * stride];
}
// One value per basin, for all its components.
static void spread(const T* p, int64_t stride, const Tile& tile, T* buffer) {
  switch (tile.components) {
    case 1: return spread_fixed<1>(p, stride, tile.basins, buffer);
    case 2: return spread_fixed<2>(p, stride, tile.basins, buffer);
    case 4: return spread_fixed<4>(p, stride, tile.basins, buffer);
    case 8: return spread_fixed<8>(p, stride, tile.basins, buffer);
    case 16: return spread_fixed<16>(p, stride, tile.basins, buffer);
  }
  for (int64_t b = 0; b < tile.basins; ++b)
    std::fill_n(buffer + b * tile.components, tile.components, p[b * stride]);
}

static __attribute__((noinline)) void gather(const Series& s, const Tile& tile, int64_t t, T* buffer) {
  const T* p = at(s, tile, t);
  int64_t E = tile.components, count = tile.basins * E;
  if (s.component == 0) {
    spread(p, s.basin, tile, buffer);
  } else {
    for (int64_t b = 0; b < tile.basins; ++b)
      for (int64_t e = 0; e < E; ++e) buffer[b * E + e] = p[b * s.basin + e * s.component];
  }
  // Spare lanes repeat the last element: nothing is ever computed on made-up numbers.
  std::fill(buffer + count, buffer + tile.width, buffer[count - 1]);
}

// The values of a tile at one step: where they lie, or gathered.
static inline const T* view(const Series& s, const Tile& tile, int64_t t, T* buffer) {
  if (in_place(s, tile)) return at(s, tile, t);
  gather(s, tile, t, buffer);
  return buffer;
}

static inline T* target(const Series& s, const Tile& tile, int64_t t, T* buffer) {
  return in_place(s, tile) ? at(s, tile, t) : buffer;
}

template <int E> static void sum_fixed(const T* buffer, int64_t basins, T* sums, int64_t stride) {
  for (int64_t b = 0; b < basins; ++b) {
    T part[E];
    std::copy_n(buffer + b * E, E, part);
    for (int n = E / 2; n; n /= 2)
      for (int e = 0; e < n; ++e) part[e] += part[e + n];
    sums[b * stride] = part[0];
  }
}
// Sums over the components of each basin, in an order that depends on their number only.
static void sum(const T* buffer, const Tile& tile, T* sums, int64_t stride) {
  switch (tile.components) {
    case 1: return sum_fixed<1>(buffer, tile.basins, sums, stride);
    case 2: return sum_fixed<2>(buffer, tile.basins, sums, stride);
    case 4: return sum_fixed<4>(buffer, tile.basins, sums, stride);
    case 8: return sum_fixed<8>(buffer, tile.basins, sums, stride);
    case 16: return sum_fixed<16>(buffer, tile.basins, sums, stride);
  }
  for (int64_t b = 0; b < tile.basins; ++b) {
    const T* row = buffer + b * tile.components;
    sums[b * stride] = std::accumulate(row, row + tile.components, T(0));
  }
}

// Bring what was computed into `buffer` to its place; summed where it has no components.
static __attribute__((noinline)) void deliver(const Series& s, const Tile& tile, int64_t t, const T* buffer,
                           double divisor = 1) {
  if (in_place(s, tile)) return;
  T* p = at(s, tile, t);
  int64_t E = tile.components;
  if (s.component == 0) sum(buffer, tile, p, s.basin);
  for (int64_t b = 0; b < tile.basins; ++b) {
    T* row = p + b * s.basin;
    if (s.component == 0) *row /= T(divisor);
    else for (int64_t e = 0; e < E; ++e) row[e * s.component] = buffer[b * E + e];
  }
}

// The same for what does not change in time and always lies in `buffer`.
static inline void hand_over(const Series& s, const Tile& tile, const T* buffer) {
  if (in_place(s, tile)) std::memcpy(at(s, tile, 0), buffer, tile.width * sizeof(T));
  else deliver(s, tile, 0, buffer);
}
