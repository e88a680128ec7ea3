// The flood of ../README.md upon SimGrid, with its S4U interface: an actor and a mailbox for each node.
// Usage: flood VARIANT NODES MESSAGES. Prints the line that ../src/lib.rs prints; the two files say the same.
//
// See https://simgrid.org/doc/latest/app_s4u.html (actors, mailboxes, permanent receivers),
// https://simgrid.org/doc/latest/Configuring_SimGrid.html (network/model, contexts/stack-size),
// https://simgrid.org/doc/latest/Platform_cpp.html (star zones).
//
// Variants: CM02, bandwidth sharing without correction factors, so that latencies are those that links have; Constant,
// SimGrid's cheapest model, which knows no links and in which every message takes one second.
#include <simgrid/s4u.hpp>

#include <sys/resource.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <string>
#include <vector>

namespace sg4 = simgrid::s4u;

constexpr int STARTS = 4;
// A sender waits for its oldest message before it holds more than these: by then that has long arrived. Detached sends
// would be shorter to write, but with SimGrid 3.32 the time of each then grows with the number of messages under way.
constexpr std::size_t PENDING = 16;
constexpr std::size_t BYTES = 300;
using Payload = std::array<unsigned char, BYTES>;

static std::uint64_t mix(std::uint64_t x)
{
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31);
}

// SplitMix64 (Steele, Lea, Flood 2014).
struct SplitMix64 {
  std::uint64_t state;
  explicit SplitMix64(std::uint32_t node) : state(mix(std::uint64_t{node} + 1)) {}
  std::uint64_t next() { return mix(state += 0x9e3779b97f4a7c15U); }
};

// Half the latency of a pair: 10 to 40 ms by a hash of the host. A latency for each pair would take a link and a route
// for each; here a pair's is the sum of two, so 20 to 80 ms, with the same mean but more in the middle.
static double half_latency_s(std::uint32_t node)
{
  return 1e-6 * static_cast<double>(10'000 + mix((std::uint64_t{node} << 32) + 0x9e3779b97f4a7c15U) % 30'001);
}

static std::vector<sg4::Mailbox*> mailboxes;
static std::uint64_t wanted, delivered, sent;
static double latency_s;
static bool links;
static volatile std::uint64_t sink;

// Peak resident memory. From Linux' /proc, since that of getrusage also counts who started the program.
static long peak_kib()
{
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.rfind("VmHWM:", 0) == 0)
      return std::stol(line.substr(6));
  return 0;
}

static void report()
{
  rusage used;
  getrusage(RUSAGE_SELF, &used);
  auto s = [](const timeval& t) { return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec); };
  const double cpu_s = s(used.ru_utime) + s(used.ru_stime);
  std::printf("%llu %.6f %.3f %ld %.2f\n", static_cast<unsigned long long>(delivered), sg4::Engine::get_clock(), cpu_s,
              peak_kib(), 1e3 * latency_s / static_cast<double>(sent));
}

static void node(std::uint32_t index)
{
  const auto nodes = static_cast<std::uint32_t>(mailboxes.size());
  SplitMix64 choices(index);
  sg4::Mailbox* mine = mailboxes[index];
  // Messages travel whether or not their receiver waits for them already.
  mine->set_receiver(sg4::Actor::self());
  std::deque<sg4::CommPtr> pending;
  auto send = [&] {
    if (pending.size() >= PENDING) {
      pending.front()->wait();
      pending.pop_front();
    }
    const std::uint64_t drawn = choices.next();
    auto to                   = static_cast<std::uint32_t>(drawn % (nodes - 1));
    to += to >= index;
    auto* payload = new Payload;
    payload->fill(0x5a);
    std::memcpy(payload->data(), &drawn, sizeof drawn);
    sent++;
    latency_s += links ? half_latency_s(index) + half_latency_s(to) : 1.0;
    pending.push_back(mailboxes[to]->put_async(payload, BYTES));
  };
  for (int i = 0; i < STARTS; i++)
    send();
  while (delivered < wanted) {
    const auto payload = mine->get_unique<Payload>();
    std::uint64_t number;
    std::memcpy(&number, payload->data(), sizeof number);
    sink = number;
    delivered++;
    send();
  }
  // Measured like the other simulators: before anything is torn down.
  report();
  std::fflush(stdout);
  std::_Exit(0);
}

int main(int argc, char** argv)
{
  sg4::Engine engine(&argc, argv);
  if (argc != 4) {
    std::fprintf(stderr, "usage: %s VARIANT NODES MESSAGES\n", argv[0]);
    return 2;
  }
  const std::string variant = argv[1];
  const auto nodes          = static_cast<std::uint32_t>(std::stoul(argv[2]));
  wanted                    = std::stoull(argv[3]);
  links                     = variant != "Constant";
  sg4::Engine::set_config("network/model:" + variant);
  // KiB. By default each actor has 8 MiB of address space.
  sg4::Engine::set_config("contexts/stack-size:64");

  auto* zone = links ? sg4::create_star_zone("flood") : sg4::create_empty_zone("flood");
  for (std::uint32_t n = 0; n < nodes; n++) {
    const std::string name = std::to_string(n);
    auto* host             = zone->create_host(name, "1Gf");
    if (links) {
      // Wide enough that 300 bytes take no time; a fat pipe, since the flood has no contention.
      auto* link = zone->create_link("link-" + name, "10GBps")
                       ->set_latency(half_latency_s(n))
                       ->set_sharing_policy(sg4::Link::SharingPolicy::FATPIPE)
                       ->seal();
      zone->add_route(host->get_netpoint(), nullptr, nullptr, nullptr, {{link, sg4::LinkInRoute::Direction::NONE}},
                      true);
    }
    mailboxes.push_back(sg4::Mailbox::by_name(name));
  }
  zone->seal();
  for (std::uint32_t n = 0; n < nodes; n++)
    sg4::Actor::create("node", sg4::Host::by_name(std::to_string(n)), [n] { node(n); });
  engine.run();
}
