// The time loop: states stay with the thread, fluxes leave as asked for, checkpoints as needed.

struct ForwardCall {
  const Series *states, *inputs, *fluxes, *last;
  T* checkpoints;  // [tile][segment][state, then tape][width], or null
  int64_t every;   // steps from one checkpoint to the next
  Size size;
  double divisor;  // of sums over components
};

static void run_tile(const ForwardCall& c, int64_t index, T* scratch) {
  const Tile tile(c.size, index);
  const int64_t W = widest(c.size);
  const T* in[NUM_STATES + NUM_INPUTS + 1];
  T* out[NUM_STATES + NUM_FLUXES + NUM_TAPE + 1];
  T* state = scratch;
  T* input = state + NUM_STATES * W;
  T* flux = input + NUM_INPUTS * W;
  T* const tape = flux + NUM_FLUXES * W;
  for (int k = 0; k < NUM_STATES; ++k) {
    in[k] = out[k] = state + k * W;
    gather(c.states[k], tile, 0, out[k]);
  }
  for (int k = 0; k < NUM_INPUTS; ++k)
    in[NUM_STATES + k] = view(c.inputs[k], tile, 0, input + k * W);
  T* checkpoint = c.checkpoints;
  const int64_t row = (NUM_STATES + NUM_TAPE) * W;
  if (checkpoint) checkpoint += index * ((c.size.steps + c.every - 1) / c.every) * row;
  for (int64_t t = 0; t < c.size.steps; ++t) {
    const bool keep = checkpoint && t % c.every == 0;
    if (keep) std::memcpy(checkpoint, state, NUM_STATES * W * sizeof(T));
    for (int k = 0; k < NUM_TAPE; ++k)
      out[NUM_STATES + NUM_FLUXES + k] = (keep ? checkpoint + NUM_STATES * W : tape) + k * W;
    if (keep) checkpoint += row;
    for (int k = 0; k < NUM_INPUTS; ++k)
      if (c.inputs[k].time) in[NUM_STATES + k] = view(c.inputs[k], tile, t, input + k * W);
    for (int k = 0; k < NUM_FLUXES; ++k)
      out[NUM_STATES + k] = target(c.fluxes[k], tile, t, flux + k * W);
    advance(in, out, tile.width);
    for (int k = 0; k < NUM_FLUXES; ++k) deliver(c.fluxes[k], tile, t, flux + k * W, c.divisor);
  }
  for (int k = 0; k < NUM_STATES; ++k) hand_over(c.last[k], tile, state + k * W);
}

extern "C" int lanes() { return GROUP; }

extern "C" void run(const ForwardCall* call) {
  const ForwardCall& c = *call;
  const int64_t count = tiles(c.size);
  const unsigned mode = float_mode();
#pragma omp parallel num_threads(c.size.threads) if (c.size.threads > 1 && count > 1)
  {
    const unsigned own = float_mode();
    set_float_mode(mode);
    Scratch scratch((NUM_STATES + NUM_INPUTS + NUM_FLUXES + NUM_TAPE) * widest(c.size));
#pragma omp for schedule(dynamic)
    for (int64_t i = 0; i < count; ++i) run_tile(c, i, scratch.start);
    set_float_mode(own);
  }
}
