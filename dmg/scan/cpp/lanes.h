// Values of a program: V, one number for each of LANES elements of the batch, and M, truth values.
//
// float: a vector of the machine's native width (wider ones are many times slower in GCC 12).
// double: one element at a time. Every lane is computed alike, whatever its neighbours hold; NaN
// stays in its lane. Intrinsics stand where the compiler does not find the instruction itself.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <numeric>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#ifdef SINGLE

#if defined(__AVX512F__) && defined(__AVX512DQ__)
#define AVX512
#elif defined(__AVX2__) && defined(__FMA__)
#define AVX2
#endif

using T = float;
#if defined(AVX512)
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
static inline V abs_(V x) { return number(bits(x) & 0x7fffffff); }

// b < a ? b : a and b > a ? b : a: NaN if a is.
#if defined(AVX512)
static inline V min_bounded(V a, V b) { return (V)_mm512_min_ps((__m512)b, (__m512)a); }
static inline V max_bounded(V a, V b) { return (V)_mm512_max_ps((__m512)b, (__m512)a); }
#elif defined(AVX2)
static inline V min_bounded(V a, V b) { return (V)_mm256_min_ps((__m256)b, (__m256)a); }
static inline V max_bounded(V a, V b) { return (V)_mm256_max_ps((__m256)b, (__m256)a); }
#else
static inline V min_bounded(V a, V b) { return b < a ? b : a; }
static inline V max_bounded(V a, V b) { return b > a ? b : a; }
#endif

// a * b + c, rounded once where the machine can.
static inline V fma_(V a, V b, V c) {
#if defined(AVX512)
  return (V)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(AVX2)
  return (V)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
  return a * b + c;
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
static inline V abs_(V x) { return std::fabs(x); }
static inline V min_bounded(V a, V b) { return b < a ? b : a; }
static inline V max_bounded(V a, V b) { return b > a ? b : a; }
template <class F> static inline V each(F f, V x) { return f(x); }
template <class F> static inline V each(F f, V x, V y) { return f(x, y); }

#endif

static inline V where_(M m, V a, V b) { return m ? a : b; }
static inline M choose_(M m, M a, M b) { return or_(and_(m, a), and_(not_(m), b)); }
static inline V from_bool_(M m) { return m ? splat(1) : splat(0); }
static inline V sign_(V x) { return from_bool_(x > splat(0)) - from_bool_(x < splat(0)); }
// NaN if either is, as in PyTorch; the `bounded` ones do where b is a constant.
static inline V min_(V a, V b) { return b == b ? min_bounded(a, b) : b; }
static inline V max_(V a, V b) { return b == b ? max_bounded(a, b) : b; }
