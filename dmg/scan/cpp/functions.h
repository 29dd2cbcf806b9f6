// Elementary functions of values V.
//
// float: exp, log and pow of our own, within 2 units in the last place (pow with exponents of
// hundreds: some tens); other functions go lane by lane through libm. double: all through libm.

#ifdef SINGLE

static inline bool any(M m) {
#if defined(AVX512)
  return _mm512_movepi32_mask((__m512i)m) != 0;
#elif defined(__AVX2__)
  return _mm256_movemask_ps((__m256)m) != 0;
#else
  int32_t all = 0;
  for (int i = 0; i < LANES; ++i) all |= m[i];
  return all != 0;
#endif
}

// Lanes that are not what log, and pow with p = y log x, are written for: zeros, denormal numbers,
// infinities, NaN, negative bases, results far beyond the range.
static inline M odd(V x, V p) {
  return ~((x >= 1.17549435e-38f) & (x < INFINITY) & (abs_(p) < 1e5f));
}
static inline bool any_odd(V x, V p) {
#if defined(AVX512)
  __mmask16 far = _mm512_cmp_ps_mask((__m512)abs_(p), (__m512)splat(1e5f), _CMP_NLT_UQ);
  return (_mm512_fpclass_ps_mask((__m512)x, 0xff) | far) != 0;
#else
  return any(odd(x, p));
#endif
}
// Replace those lanes of r by what libm gives.
template <class F> static __attribute__((noinline)) V patch(F f, M where, V r, V x, V y) {
  for (int i = 0; i < LANES; ++i) r[i] = where[i] ? T(f(x[i], y[i])) : r[i];
  return r;
}

// y * 2^n for a whole number n, and its bits as those of n + 1.5 * 2^23.
static inline V scaled(V y, V n, V shifted) {
#if defined(AVX512)
  return (V)_mm512_scalef_ps((__m512)y, (__m512)n);
#else
  M m = bits(shifted) - bits(splat(12582912.f));
  M half = m >> 1;  // two factors, since 2^n itself may be beyond the range of floats
  return y * number((half + 127) << 23) * number((m - half + 127) << 23);
#endif
}
// exp(x + low), |low| << |x|: reduction by ln 2 in two parts, polynomial of Cephes' expf.
static inline V exp_sum(V x, V low) {
  x = max_bounded(min_bounded(x, splat(89.f)), splat(-104.f));
  V shifted = fma_(x, splat(1.44269504f), splat(12582912.f));
  V whole = shifted - 12582912.f;
  V r = fma_(whole, splat(-0.693359375f), x);
  r = fma_(whole, splat(2.12194440e-4f), r) + low;
  V p = fma_(splat(1.9875691500e-4f), r, splat(1.3981999507e-3f));
  p = fma_(p, r, splat(8.3334519073e-3f));
  p = fma_(p, r, splat(4.1665795894e-2f));
  p = fma_(p, r, splat(1.6666665459e-1f));
  p = fma_(p, r, splat(5.0000001201e-1f));
  return scaled(1.f + fma_(p, r * r, r), whole, shifted);
}
static inline V exp_(V x) { return exp_sum(x, V{}); }

// Rounding error of p = a * b.
static inline V product_error(V a, V b, V p) {
#if defined(AVX512) || defined(AVX2)
  return fma_(a, b, -p);
#else  // Dekker 1971
  V ah = a * 4097.f, bh = b * 4097.f;
  ah = ah - (ah - a), bh = bh - (bh - b);
  V al = a - ah, bl = b - bh;
  return ((ah * bh - p) + ah * bl + al * bh) + al * bl;
#endif
}

// log(x) = high + low for normal x > 0.
struct Log { V high, low; };
static inline Log sum_of(V high, V low) {
  V sum = high + low;
  return {sum, low - (sum - high)};
}
#if defined(AVX512)
// The mantissa times about its reciprocal is 1 + r, |r| < 2^-5; the reciprocals are those whose
// logarithm has 16 digits after the point, so that its sum with n ln 2 is exact.
alignas(64) static const T RECIPROCAL[16] = {
    1.f, 0.942198038f, 0.88673532f, 0.841788948f, 0.800267816f, 0.761096597f, 0.726531625f,
    0.693875134f, 0.666540146f, 0.64129889f, 0.614551723f, 0.593267441f, 0.569817603f,
    0.549814105f, 0.534461617f, 0.51781249f};
alignas(64) static const T MINUS_LOG[16] = {
    0.f, 0.0595397949f, 0.12020874f, 0.172225952f, 0.222808838f, 0.272994995f, 0.319473267f,
    0.365463257f, 0.405654907f, 0.444259644f, 0.486862183f, 0.522109985f, 0.562438965f,
    0.598175049f, 0.626495361f, 0.65814209f};
static inline V at_index(const T* table, M index) {
  return (V)_mm512_permutexvar_ps((__m512i)index, (__m512)load(table));
}
static inline Log log_parts(V x) {
  M i = bits(x) - (0x3f800000 - (1 << 18));  // 16 intervals, the first around 1
  M e = i >> 23, index = i >> 19;
  V n = __builtin_convertvector(e, V);
  V r = fma_(number(bits(x) - (e << 23)), at_index(RECIPROCAL, index), splat(-1.f));
  V p = fma_(r, splat(0.2f), splat(-0.25f));
  p = fma_(p, r, splat(0.333333333f));
  p = fma_(p, r, splat(-0.5f));
  V a = fma_(n, splat(0.693359375f), at_index(MINUS_LOG, index)), high = a + r;
  return sum_of(high, (r - (high - a)) + fma_(p, r * r, n * -2.12194440e-4f));
}
#else
static inline Log log_parts(V x) {
  M i = bits(x) - 0x3f3504f3;  // mantissa in [sqrt(1/2), sqrt(2))
  M e = i >> 23;
  V n = __builtin_convertvector(e, V), r = number(bits(x) - (e << 23)) - 1.f;
  V p = fma_(splat(-5.976835266e-02f), r, splat(1.063201427e-01f));
  p = fma_(p, r, splat(-1.081958413e-01f));
  p = fma_(p, r, splat(1.103620529e-01f));
  p = fma_(p, r, splat(-1.242439598e-01f));
  p = fma_(p, r, splat(1.428511739e-01f));
  p = fma_(p, r, splat(-1.666940600e-01f));
  p = fma_(p, r, splat(2.000009120e-01f));
  p = fma_(p, r, splat(-2.499996722e-01f));
  p = fma_(p, r, splat(3.333333135e-01f));
  V square = r * r, square_low = product_error(r, r, square);
  // n ln 2 + r - r^2 / 2 with the errors of both sums, then the small terms
  V a = n * 0.693359375f, s = a + r, v = s - a;
  V low = (a - (s - v)) + (r - v);
  V b = -0.5f * square, high = s + b;
  v = high - s;
  low += (s - (high - v)) + (b - v);
  low += fma_(r * square, p, fma_(n, splat(-2.12194440e-4f), -0.5f * square_low));
  return sum_of(high, low);
}
#endif
static inline V log_of(Log l, V x) {
  if (__builtin_expect(!any_odd(x, V{}), 1)) return l.high;
  return patch([](T u, T) { return std::log(u); }, odd(x, V{}), l.high, x, x);
}
// x^y = exp(y log x), with the rounding error of the product passed on to exp.
static inline V pow_of(Log l, V x, V y) {
  V p = y * l.high;
  V r = exp_sum(p, fma_(y, l.low, product_error(y, l.high, p)));
  if (__builtin_expect(!any_odd(x, p), 1)) return r;
  return patch([](T u, T v) { return std::pow(u, v); }, odd(x, p), r, x, y);
}
static inline V sigmoid_(V x) { return 1.f / (1.f + exp_(-x)); }
static inline V tanh_(V x) {
  V a = abs_(x), z = x * x;
  V p = fma_(splat(-5.70498872745e-3f), z, splat(2.06390887954e-2f));
  p = fma_(p, z, splat(-5.37397155531e-2f));
  p = fma_(p, z, splat(1.33314422036e-1f));
  p = fma_(p, z, splat(-3.33332819422e-1f));
  V large = 1.f - 2.f / (exp_(a + a) + 1.f);
  large = number(bits(large) | (bits(x) & M(bits(splat(-0.f)))));
  return a < 0.625f ? fma_(p * z, x, x) : large;
}
// Out of line: sixteen calls in every place would take the compiler minutes.
#define LIBM(name) \
  static __attribute__((noinline)) V name##_(V x) { return each([](T u) { return std::name(u); }, x); }
#define ROUNDING(name) static inline V name##_(V x) { return each([](T u) { return std::name(u); }, x); }

#else  // double

static inline V exp_(V x) { return std::exp(x); }
struct Log {};
static inline Log log_parts(V) { return {}; }
static inline V log_of(Log, V x) { return std::log(x); }
static inline V pow_of(Log, V x, V y) { return std::pow(x, y); }
static inline V sigmoid_(V x) { return 1. / (1. + std::exp(-x)); }
static inline V tanh_(V x) { return std::tanh(x); }
#define LIBM(name) static inline V name##_(V x) { return std::name(x); }
#define ROUNDING LIBM

#endif

ROUNDING(sqrt) ROUNDING(floor) ROUNDING(ceil) ROUNDING(trunc) LIBM(expm1) LIBM(log1p) LIBM(exp2) LIBM(log2) LIBM(log10) LIBM(erf)
LIBM(sin) LIBM(cos) LIBM(tan) LIBM(asin) LIBM(acos) LIBM(atan) LIBM(sinh) LIBM(cosh)

static inline V round_(V x) { return each([](T u) { return std::nearbyint(u); }, x); }
static __attribute__((noinline)) V atan2_(V x, V y) { return each([](T u, T v) { return std::atan2(u, v); }, x, y); }
static __attribute__((noinline)) V fmod_(V x, V y) { return each([](T u, T v) { return std::fmod(u, v); }, x, y); }
