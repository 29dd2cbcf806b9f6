// The adjoint: from the last segment to the first, recompute its states, then walk back.

struct BackwardCall {
  const Series *inputs, *last_gradients, *flux_gradients, *state_gradients, *gradients;
  const T* checkpoints;
  int64_t every;
  Size size;
};

constexpr int NUM_KEPT = NUM_STATES + NUM_TAPE;  // of each step: what its adjoint starts from

// Buffers of a thread, W elements each.
struct Trail {
  int64_t W;
  T *states, *input, *flux, *adjoint, *gradient;
  Trail(T* p, int64_t every, int64_t width)
      : W(width), states(p), input(states + (every + 1) * NUM_KEPT * W), flux(input + NUM_INPUTS * W),
        adjoint(flux + NUM_FLUXES * W), gradient(adjoint + NUM_STATES * W) {}
  static int64_t size(int64_t every, int64_t width) {
    return ((every + 1) * NUM_KEPT + NUM_INPUTS + NUM_FLUXES + NUM_STATES + NUM_GRADIENTS) * width;
  }
};

static void read_inputs(const BackwardCall& c, const Tile& tile, int64_t t, const Trail& trail,
                        const T** in) {
  for (int k = 0; k < NUM_INPUTS; ++k)
    if (c.inputs[k].time) in[k] = view(c.inputs[k], tile, t, trail.input + k * trail.W);
}

// States before each step of a segment and its tape, from those at its start.
static void recompute(const BackwardCall& c, const Tile& tile, int64_t start, int64_t stop,
                      const Trail& trail, const T** in) {
  const int64_t W = trail.W;
  T* out[NUM_KEPT + 1];
  const int64_t end = NUM_TAPE && start + 1 < stop ? stop : stop - 1;
  for (int64_t t = start; t < end; ++t) {
    T* now = trail.states + (t - start) * NUM_KEPT * W;
    for (int k = 0; k < NUM_STATES; ++k) in[k] = now + k * W, out[k] = now + (NUM_KEPT + k) * W;
    for (int k = NUM_STATES; k < NUM_KEPT; ++k) out[k] = now + k * W;
    read_inputs(c, tile, t, trail, in + NUM_STATES);
    advance(in, out, tile.width);
  }
}

static void step_back(const BackwardCall& c, const Tile& tile, int64_t t, T* states,
                      const Trail& trail, const T** in) {
  const int64_t W = trail.W;
  T* out[NUM_STATES + NUM_GRADIENTS + 1];
  for (int k = 0; k < NUM_STATES; ++k) in[k] = states + k * W;
  read_inputs(c, tile, t, trail, in + NUM_STATES);
  const T** given = in + NUM_STATES + NUM_INPUTS;
  for (int k = 0; k < NUM_TAPE; ++k)
    given[NUM_STATES + NUM_FLUXES + k] = states + (NUM_STATES + k) * W;
  for (int k = 0; k < NUM_STATES; ++k) given[k] = out[k] = trail.adjoint + k * W;
  for (int k = 0; k < NUM_FLUXES; ++k)
    given[NUM_STATES + k] = view(c.flux_gradients[k], tile, t, trail.flux + k * W);
  for (int k = 0; k < NUM_GRADIENTS; ++k) {
    T* buffer = trail.gradient + k * W;
    out[NUM_STATES + k] = SERIES[k] ? target(c.gradients[k], tile, t, buffer) : buffer;
  }
  adjoin(in, out, tile.width);
  for (int k = 0; k < NUM_GRADIENTS; ++k)
    if (SERIES[k]) deliver(c.gradients[k], tile, t, trail.gradient + k * W);
}

static void run_tile(const BackwardCall& c, int64_t index, T* scratch) {
  const Tile tile(c.size, index);
  const int64_t W = widest(c.size), segments = (c.size.steps + c.every - 1) / c.every;
  const Trail trail(scratch, c.every, W);
  const T* in[2 * NUM_STATES + NUM_INPUTS + NUM_FLUXES + NUM_TAPE + 1];
  for (int k = 0; k < NUM_INPUTS; ++k)
    in[NUM_STATES + k] = view(c.inputs[k], tile, 0, trail.input + k * W);
  for (int k = 0; k < NUM_STATES; ++k)
    gather(c.last_gradients[k], tile, 0, trail.adjoint + k * W);
  std::fill_n(trail.gradient, NUM_GRADIENTS * W, T(0));
  for (int64_t s = segments - 1; s >= 0; --s) {
    const int64_t start = s * c.every, stop = std::min(start + c.every, c.size.steps);
    const T* checkpoint = c.checkpoints + (index * segments + s) * NUM_KEPT * W;
    std::memcpy(trail.states, checkpoint, NUM_KEPT * W * sizeof(T));
    recompute(c, tile, start, stop, trail, in);
    for (int64_t t = stop - 1; t >= start; --t)
      step_back(c, tile, t, trail.states + (t - start) * NUM_KEPT * W, trail, in);
  }
  for (int k = 0; k < NUM_GRADIENTS; ++k)
    if (!SERIES[k]) hand_over(c.gradients[k], tile, trail.gradient + k * W);
  for (int k = 0; k < NUM_STATES; ++k)
    hand_over(c.state_gradients[k], tile, trail.adjoint + k * W);
}

extern "C" int lanes() { return GROUP; }

extern "C" void run(const BackwardCall* call) {
  const BackwardCall& c = *call;
  const int64_t count = tiles(c.size), W = widest(c.size);
  const unsigned mode = float_mode();
#pragma omp parallel num_threads(c.size.threads) if (c.size.threads > 1 && count > 1)
  {
    const unsigned own = float_mode();
    set_float_mode(mode);
    Scratch scratch(Trail::size(c.every, W));
#pragma omp for schedule(dynamic)
    for (int64_t i = 0; i < count; ++i) run_tile(c, i, scratch.start);
    set_float_mode(own);
  }
}
