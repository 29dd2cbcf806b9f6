// How a network is worked through: pieces of it that fit into a core's cache, each a list of
// blocks of LANES reaches that do not depend on each other.
//
// A piece is one or more trees of reaches. What flows into it from another piece comes from a
// series of the whole run, since water never flows back: all pieces of one level can run at once.

#include <memory>
#include <queue>
#include <vector>

struct Link { int32_t slot, row; };  // a place in a piece, and the series that crosses its border

struct Piece {
  int64_t first = 0, slots = 0;     // its places among those of all pieces; whole blocks
  std::vector<int32_t> reach;       // of each slot; -1: spare
  std::vector<int32_t> columns;     // of each block: where its columns in `upstream` begin
  std::vector<int32_t> upstream;    // slots of the k-th reach upstream of each lane of a block
  std::vector<int32_t> downstream;  // slot of each slot and ghost; the zero if it is elsewhere
  std::vector<Link> ghosts, exits;  // reaches of other pieces that flow into this one; and out
  int64_t blocks() const { return slots / LANES; }
  int64_t zero() const { return slots + int64_t(ghosts.size()); }  // always holds 0
  int64_t width() const { return (zero() + LANES) / LANES * LANES; }
};

struct Plan {
  int64_t reaches = 0, slots = 0, rows = 0;
  std::vector<int64_t> downstream, order;  // upstream before downstream
  std::vector<Piece> pieces;
  std::vector<int64_t> levels;  // where the pieces of each level begin, and the end
};

struct Graph {
  std::vector<int64_t> start, upstream;  // reaches upstream of i: upstream[start[i] .. start[i + 1]]
  Graph(int64_t count, const int64_t* downstream) : start(count + 2), upstream(count) {
    for (int64_t i = 0; i < count; ++i)
      if (downstream[i] >= 0) ++start[downstream[i] + 2];
    for (int64_t i = 2; i < count + 2; ++i) start[i] += start[i - 1];
    for (int64_t i = 0; i < count; ++i)
      if (downstream[i] >= 0) upstream[start[downstream[i] + 1]++] = i;
  }
};

// Order of Kahn 1962; shorter than the network where that has a cycle.
static std::vector<int64_t> ordered(const Graph& graph, const std::vector<int64_t>& downstream) {
  const int64_t count = downstream.size();
  std::vector<int64_t> order, missing(count);
  order.reserve(count);
  for (int64_t i = 0; i < count; ++i)
    if (!(missing[i] = graph.start[i + 1] - graph.start[i])) order.push_back(i);
  for (size_t k = 0; k < order.size(); ++k) {
    const int64_t next = downstream[order[k]];
    if (next >= 0 && !--missing[next]) order.push_back(next);
  }
  return order;
}

// The last reach of the piece of each reach: subtrees are cut off as soon as they are large enough.
static std::vector<int64_t> cut(const Plan& plan, int64_t target) {
  std::vector<int64_t> size(plan.reaches, 1), last(plan.reaches);
  for (int64_t i : plan.order) {
    const int64_t next = plan.downstream[i];
    if (next >= 0 && size[i] < target) size[next] += size[i], last[i] = -1;
    else last[i] = i;
  }
  for (auto i = plan.order.rbegin(); i != plan.order.rend(); ++i)
    if (last[*i] < 0) last[*i] = last[plan.downstream[*i]];
  return last;
}

// Number of the piece of each reach: pieces by level, small ones of one level together.
static std::vector<int64_t> grouped(Plan& plan, int64_t target) {
  const std::vector<int64_t> last = cut(plan, target);
  std::vector<int64_t> level(plan.reaches), size(plan.reaches), ends, piece(plan.reaches);
  for (int64_t i : plan.order) {
    ++size[last[i]];
    if (last[i] != i) continue;
    ends.push_back(i);
    if (plan.downstream[i] < 0) continue;
    int64_t& next = level[last[plan.downstream[i]]];
    next = std::max(next, level[i] + 1);
  }
  std::sort(ends.begin(), ends.end(), [&](int64_t a, int64_t b) {
    return level[a] != level[b] ? level[a] < level[b] : a < b;
  });
  int64_t number = -1, room = 0, current = -1;
  for (int64_t end : ends) {
    if (level[end] != current || room < size[end]) {
      ++number, room = target;
      for (; current < level[end]; ++current) plan.levels.push_back(number);
    }
    room -= size[end], piece[end] = number;
  }
  plan.levels.push_back(number + 1);
  plan.pieces.resize(number + 1);
  for (int64_t i = 0; i < plan.reaches; ++i) piece[i] = piece[last[i]];
  return piece;
}

// Fill the slots of a piece block by block with reaches whose upstream ones are done, those with
// the longest way to go first.
static void schedule(const Plan& plan, const Graph& graph, const std::vector<int64_t>& piece,
                     const std::vector<int64_t>& members, const std::vector<int64_t>& depth,
                     std::vector<int64_t>& missing, Piece& own) {
  std::priority_queue<std::pair<int64_t, int64_t>> ready;
  for (int64_t i : members) {
    missing[i] = 0;
    for (int64_t k = graph.start[i]; k < graph.start[i + 1]; ++k)
      missing[i] += piece[graph.upstream[k]] == piece[i];
    if (!missing[i]) ready.push({depth[i], -i});
  }
  while (!ready.empty()) {
    const size_t first = own.reach.size();
    for (int lane = 0; lane < LANES; ++lane) {
      own.reach.push_back(ready.empty() ? -1 : int32_t(-ready.top().second));
      if (!ready.empty()) ready.pop();
    }
    for (size_t s = first; s < own.reach.size() && own.reach[s] >= 0; ++s) {
      const int64_t i = own.reach[s], next = plan.downstream[i];
      if (next >= 0 && piece[next] == piece[i] && !--missing[next]) ready.push({depth[next], -next});
    }
  }
  own.slots = own.reach.size();
}

// Who lies upstream and downstream of whom within a piece, and across its border.
static void connect(const Graph& graph, const std::vector<int64_t>& piece,
                    const std::vector<int64_t>& slot, const std::vector<int64_t>& row, Piece& own) {
  std::vector<std::vector<int32_t>> above(own.slots);
  for (int64_t s = 0; s < own.slots; ++s) {
    const int64_t i = own.reach[s];
    if (i < 0) continue;
    if (row[i] >= 0) own.exits.push_back({int32_t(s), int32_t(row[i])});
    for (int64_t k = graph.start[i]; k < graph.start[i + 1]; ++k) {
      const int64_t up = graph.upstream[k];
      const bool inside = piece[up] == piece[i];
      above[s].push_back(inside ? slot[up] : own.slots + own.ghosts.size());
      if (!inside) own.ghosts.push_back({int32_t(above[s].back()), int32_t(row[up])});
    }
  }
  own.downstream.assign(own.width(), own.zero());
  for (int64_t s = 0; s < own.slots; ++s)
    for (int32_t up : above[s]) own.downstream[up] = s;
  own.columns.push_back(0);
  for (int64_t b = 0; b < own.blocks(); ++b) {
    size_t most = 0;
    for (int64_t s = b * LANES; s < (b + 1) * LANES; ++s) most = std::max(most, above[s].size());
    for (size_t k = 0; k < most; ++k)
      for (int64_t s = b * LANES; s < (b + 1) * LANES; ++s)
        own.upstream.push_back(k < above[s].size() ? above[s][k] : own.zero());
    own.columns.push_back(own.upstream.size());
  }
}

// Returns null if the network has a cycle.
static Plan* planned(int64_t count, const int64_t* downstream, int64_t target) {
  Plan* plan = new Plan;
  plan->reaches = count;
  plan->downstream.assign(downstream, downstream + count);
  const Graph graph(count, downstream);
  plan->order = ordered(graph, plan->downstream);
  if (int64_t(plan->order.size()) < count) return delete plan, nullptr;
  const std::vector<int64_t> piece = grouped(*plan, target);
  std::vector<int64_t> depth(count), slot(count), row(count, -1), missing(count);
  std::vector<std::vector<int64_t>> members(plan->pieces.size());
  for (int64_t i = 0; i < count; ++i) members[piece[i]].push_back(i);
  for (auto i = plan->order.rbegin(); i != plan->order.rend(); ++i) {
    const int64_t next = plan->downstream[*i];
    if (next < 0) continue;
    if (piece[next] == piece[*i]) depth[*i] = depth[next] + 1;
    else row[*i] = plan->rows++;
  }
  for (size_t p = 0; p < plan->pieces.size(); ++p) {
    Piece& own = plan->pieces[p];
    schedule(*plan, graph, piece, members[p], depth, missing, own);
    own.first = plan->slots, plan->slots += own.slots;
    for (int64_t s = 0; s < own.slots; ++s)
      if (own.reach[s] >= 0) slot[own.reach[s]] = s;
  }
  for (Piece& own : plan->pieces) connect(graph, piece, slot, row, own);
  return plan;
}
