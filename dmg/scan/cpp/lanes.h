// Values of a program: V, one number for each of LANES elements of the batch, and M, truth values.
//
// float: a vector of the machine's native width (wider ones are many times slower in GCC 12),
// with exp, log and pow of our own, within 2 units in the last place; other functions go lane by
// lane through libm. double: one element at a time, through libm.
// Every lane is computed alike, whatever its neighbours hold; NaN stays in its lane.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#ifdef SINGLE

using T = float;
#if defined(__AVX512F__) && defined(__AVX512DQ__)
constexpr int WIDTH = 64;
#elif defined(__AVX2__)
constexpr int WIDTH = 32;
#else
constexpr int WIDTH = 16;
#endif
typedef float V __attribute__((vector_size(WIDTH)));
typedef int32_t M __attribute__((vector_size(WIDTH)));
constexpr int LANES = WIDTH / sizeof(T);

static inline V load(const T* p) { V v; std::memcpy(&v, p, sizeof v); return v; }
static inline void store(T* p, V v) { std::memcpy(p, &v, sizeof v); }
static inline V splat(T x) { return x - V{}; }  // keeps -0
static inline M bits(V v) { M m; std::memcpy(&m, &v, sizeof m); return m; }
static inline V number(M m) { V v; std::memcpy(&v, &m, sizeof v); return v; }
static inline M truth(bool x) { return M{} - int32_t(x); }
static inline M not_(M m) { return ~m; }
static inline M and_(M a, M b) { return a & b; }
static inline M or_(M a, M b) { return a | b; }

static inline bool any(M m) {
#if defined(__AVX512F__) && defined(__AVX512DQ__)
  return _mm512_movepi32_mask((__m512i)m) != 0;
#elif defined(__AVX2__)
  return _mm256_movemask_ps((__m256)m) != 0;
#else
  int32_t all = 0;
  for (int i = 0; i < LANES; ++i) all |= m[i];
  return all != 0;
#endif
}

// a * b + c, rounded once where the machine can.
static inline V fma_(V a, V b, V c) {
#if defined(__AVX512F__) && defined(__AVX512DQ__)
  return (V)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__AVX2__) && defined(__FMA__)
  return (V)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
  return a * b + c;
#endif
}

// Rounding error of p = a * b.
static inline V product_error(V a, V b, V p) {
#if (defined(__AVX512F__) && defined(__AVX512DQ__)) || (defined(__AVX2__) && defined(__FMA__))
  return fma_(a, b, -p);
#else  // Dekker 1971
  V ah = a * 4097.f, bh = b * 4097.f;
  ah = ah - (ah - a), bh = bh - (bh - b);
  V al = a - ah, bl = b - bh;
  return ((ah * bh - p) + ah * bl + al * bh) + al * bl;
#endif
}

template <class F> static inline V each(F f, V x) {
  for (int i = 0; i < LANES; ++i) x[i] = f(x[i]);
  return x;
}
template <class F> static inline V each(F f, V x, V y) {
  for (int i = 0; i < LANES; ++i) x[i] = f(x[i], y[i]);
  return x;
}
// Replace some lanes of r by what libm gives: zeros, infinities, NaN, negative bases.
template <class F> static __attribute__((noinline)) V patch(F f, M where, V r, V x, V y) {
  for (int i = 0; i < LANES; ++i) r[i] = where[i] ? T(f(x[i], y[i])) : r[i];
  return r;
}

// exp(x + low), |low| << |x|: reduction by ln 2 in two parts, polynomial of Cephes' expf.
static inline V exp_sum(V x, V low) {
  x = x > 89.f ? splat(89.f) : x;
  x = x < -104.f ? splat(-104.f) : x;
  V shifted = fma_(x, splat(1.44269504f), splat(12582912.f));
  M n = bits(shifted) - bits(splat(12582912.f));
  V whole = shifted - 12582912.f;
  V r = fma_(whole, splat(-0.693359375f), x);
  r = fma_(whole, splat(2.12194440e-4f), r) + low;
  V p = fma_(splat(1.9875691500e-4f), r, splat(1.3981999507e-3f));
  p = fma_(p, r, splat(8.3334519073e-3f));
  p = fma_(p, r, splat(4.1665795894e-2f));
  p = fma_(p, r, splat(1.6666665459e-1f));
  p = fma_(p, r, splat(5.0000001201e-1f));
  V y = 1.f + fma_(p, r * r, r);
  M half = n >> 1;  // two factors, since 2^n itself may be beyond the range of floats
  return y * number((half + 127) << 23) * number((n - half + 127) << 23);
}
static inline V exp_(V x) { return exp_sum(x, V{}); }

// log(x) = high + low for 0 < x < inf, to about 2^-28 relative.
struct Log { V high, low; };
static inline Log log_parts(V x) {
  M tiny = x < 1.17549435e-38f;
  x = tiny ? x * 8388608.f : x;
  M i = bits(x) - 0x3f3504f3;  // mantissa in [sqrt(1/2), sqrt(2))
  M e = i >> 23;
  V r = number(bits(x) - (e << 23)) - 1.f;
  V k = __builtin_convertvector(e + (tiny ? M{} - 23 : M{}), V);
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
  // k ln 2 + r - r^2 / 2 with the errors of both sums, then the small terms
  V a = k * 0.693359375f, s = a + r, v = s - a;
  V low = (a - (s - v)) + (r - v);
  V b = -0.5f * square, high = s + b;
  v = high - s;
  low += (s - (high - v)) + (b - v);
  low += fma_(r * square, p, fma_(k, splat(-2.12194440e-4f), -0.5f * square_low));
  V sum = high + low;
  return {sum, low - (sum - high)};
}
static inline M ordinary(V x) { return (x > 0.f) & (x < INFINITY); }
static inline V log_of(Log l, V x) {
  M odd = ~ordinary(x);
  if (__builtin_expect(!any(odd), 1)) return l.high;
  return patch([](T u, T) { return std::log(u); }, odd, l.high, x, x);
}
// x^y = exp(y log x), with the rounding error of the product passed on to exp.
static inline V pow_of(Log l, V x, V y) {
  V p = y * l.high;
  V r = exp_sum(p, fma_(y, l.low, product_error(y, l.high, p)));
  M odd = ~(ordinary(x) & (y > -1e5f) & (y < 1e5f));
  if (__builtin_expect(!any(odd), 1)) return r;
  return patch([](T u, T v) { return std::pow(u, v); }, odd, r, x, y);
}
static inline V sigmoid_(V x) { return 1.f / (1.f + exp_(-x)); }
static inline V tanh_(V x) {
  V a = number(bits(x) & 0x7fffffff), z = x * x;
  V p = fma_(splat(-5.70498872745e-3f), z, splat(2.06390887954e-2f));
  p = fma_(p, z, splat(-5.37397155531e-2f));
  p = fma_(p, z, splat(1.33314422036e-1f));
  p = fma_(p, z, splat(-3.33332819422e-1f));
  V large = 1.f - 2.f / (exp_(a + a) + 1.f);
  large = number(bits(large) | (bits(x) & M(bits(splat(-0.f)))));
  return a < 0.625f ? fma_(p * z, x, x) : large;
}
static inline V abs_(V x) { return number(bits(x) & 0x7fffffff); }
// Out of line: sixteen calls in every place would take the compiler minutes.
#define LIBM(name) \
  static __attribute__((noinline)) V name##_(V x) { return each([](T u) { return std::name(u); }, x); }
#define ROUNDING(name) static inline V name##_(V x) { return each([](T u) { return std::name(u); }, x); }

#else  // double

using T = double;
using V = double;
using M = bool;
constexpr int LANES = 1;
static inline V load(const T* p) { return *p; }
static inline void store(T* p, V v) { *p = v; }
static inline V splat(T x) { return x; }
static inline M truth(bool x) { return x; }
static inline M not_(M m) { return !m; }
static inline M and_(M a, M b) { return a & b; }
static inline M or_(M a, M b) { return a | b; }
template <class F> static inline V each(F f, V x) { return f(x); }
template <class F> static inline V each(F f, V x, V y) { return f(x, y); }
static inline V exp_(V x) { return std::exp(x); }
struct Log {};
static inline Log log_parts(V) { return {}; }
static inline V log_of(Log, V x) { return std::log(x); }
static inline V pow_of(Log, V x, V y) { return std::pow(x, y); }
static inline V sigmoid_(V x) { return 1. / (1. + std::exp(-x)); }
static inline V tanh_(V x) { return std::tanh(x); }
static inline V abs_(V x) { return std::fabs(x); }
#define LIBM(name) static inline V name##_(V x) { return std::name(x); }
#define ROUNDING LIBM

#endif

ROUNDING(sqrt) ROUNDING(floor) ROUNDING(ceil) ROUNDING(trunc) LIBM(expm1) LIBM(log1p) LIBM(exp2) LIBM(log2) LIBM(log10) LIBM(erf)
LIBM(sin) LIBM(cos) LIBM(tan) LIBM(asin) LIBM(acos) LIBM(atan) LIBM(sinh) LIBM(cosh)

static inline V round_(V x) { return each([](T u) { return std::nearbyint(u); }, x); }
static __attribute__((noinline)) V atan2_(V x, V y) { return each([](T u, T v) { return std::atan2(u, v); }, x, y); }
static __attribute__((noinline)) V fmod_(V x, V y) { return each([](T u, T v) { return std::fmod(u, v); }, x, y); }
static inline V where_(M m, V a, V b) { return m ? a : b; }
static inline M choose_(M m, M a, M b) { return or_(and_(m, a), and_(not_(m), b)); }
static inline V from_bool_(M m) { return m ? splat(1) : splat(0); }
static inline V sign_(V x) { return from_bool_(x > splat(0)) - from_bool_(x < splat(0)); }
// NaN if either is, as in PyTorch; `bounded` ones where b is a constant.
static inline V min_bounded(V a, V b) { return b < a ? b : a; }
static inline V max_bounded(V a, V b) { return b > a ? b : a; }
static inline V min_(V a, V b) { return b == b ? min_bounded(a, b) : b; }
static inline V max_(V a, V b) { return b == b ? max_bounded(a, b) : b; }
