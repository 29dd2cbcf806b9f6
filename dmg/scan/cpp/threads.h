// What every thread needs: its mode of floating point, its memory.

// Whether denormal numbers count as zero is set for each thread: a team follows its caller, so
// that results do not depend on the number of threads.
#if defined(__x86_64__)
static inline unsigned float_mode() { return _mm_getcsr(); }
static inline void set_float_mode(unsigned mode) { _mm_setcsr(mode); }
#else
static inline unsigned float_mode() { return 0; }
static inline void set_float_mode(unsigned) {}
#endif

// Memory of one thread; vectors start at whole cache lines.
struct Scratch {
  T* start;
  explicit Scratch(int64_t count)
      : start(static_cast<T*>(std::aligned_alloc(64, (count * sizeof(T) + 64) / 64 * 64))) {}
  ~Scratch() { std::free(start); }
};
