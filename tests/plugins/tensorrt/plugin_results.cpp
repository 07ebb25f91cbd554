// Real data through enqueue: results equal the expected ones to the bit.
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>
#include <thread>

#include "plugin_host.hpp"

namespace {
std::atomic<long> allocations{0};
}

// The library's allocations come here, too: the program's definition is the one that counts.
void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace spit::test {
namespace {

constexpr std::size_t kGuard = 256;
constexpr unsigned char kPoison = 0xA5;

// Poisoned memory of an exact size, with more poison around it.
class Guarded {
 public:
  explicit Guarded(std::size_t bytes) : bytes_(bytes), block_(bytes + 3 * kGuard, static_cast<char>(kPoison)) {
    auto address = reinterpret_cast<std::uintptr_t>(block_.data()) + kGuard;
    begin_ =
        block_.data() + ((address + kGuard - 1) / kGuard * kGuard - reinterpret_cast<std::uintptr_t>(block_.data()));
  }
  char* data() { return begin_; }
  bool intact() const {
    for (const char* p = block_.data(); p != block_.data() + block_.size(); ++p) {
      if ((p < begin_ || p >= begin_ + bytes_) && static_cast<unsigned char>(*p) != kPoison) return false;
    }
    return true;
  }

 private:
  std::size_t bytes_;
  std::vector<char> block_;
  char* begin_;
};

// What an engine holds of a case: descriptions, and the workspace that building asked for.
struct Prepared {
  std::vector<nvinfer1::PluginTensorDesc> in, out;
  std::vector<const void*> inputs;
  std::size_t workspace = 0;
};

Prepared prepare(nvinfer1::IPluginV3OneBuild& build, const Case& c) {
  Prepared p;
  std::vector<nvinfer1::DynamicPluginTensorDesc> in, out;
  for (const Tensor& t : c.inputs) {
    p.in.push_back(described(t.shape, t.type));
    in.push_back(described(t.shape, t.shape, t.type));
    p.inputs.push_back(t.data.data());
  }
  for (const Tensor& t : c.outputs) {
    p.out.push_back(described(t.shape, t.type));
    out.push_back(described(t.shape, t.shape, t.type));
  }
  const auto inputs = static_cast<std::int32_t>(in.size()), outputs = static_cast<std::int32_t>(out.size());
  EXPECT_EQ(build.configurePlugin(in.data(), inputs, out.data(), outputs), 0);
  p.workspace = build.getWorkspaceSize(in.data(), inputs, out.data(), outputs);
  return p;
}

// One enqueue on fresh memory; compares outputs and guards.
void expect_results(nvinfer1::IPluginV3OneRuntime& plugin, const Case& c, const Prepared& p) {
  std::vector<std::unique_ptr<Guarded>> memory;
  std::vector<void*> outputs;
  for (const Tensor& t : c.outputs) {
    memory.push_back(std::make_unique<Guarded>(t.data.size()));
    outputs.push_back(memory.back()->data());
  }
  Guarded workspace(p.workspace);
  ASSERT_EQ(plugin.onShapeChange(p.in.data(), static_cast<std::int32_t>(p.in.size()), p.out.data(),
                                 static_cast<std::int32_t>(p.out.size())),
            0);
  ASSERT_EQ(plugin.enqueue(p.in.data(), p.out.data(), p.inputs.data(), outputs.data(), workspace.data(), nullptr), 0);
  EXPECT_TRUE(workspace.intact()) << c.name << ": workspace is too small";
  for (std::size_t i = 0; i < c.outputs.size(); ++i) {
    EXPECT_TRUE(memory[i]->intact()) << c.name << ": output " << i << " overflows";
    EXPECT_EQ(std::memcmp(outputs[i], c.outputs[i].data.data(), c.outputs[i].data.size()), 0)
        << c.name << ": output " << i << " differs";
  }
}

// A plugin's whole life: parsed, cloned for the engine, serialised, created again, attached.
struct Life {
  explicit Life(Case& c) {
    const PluginPointer parsed = create(c.op, c.fields);
    const PluginPointer built(parsed->clone());
    prepared = prepare(build_of(*built), c);
    loaded = reborn(*built);
    attached = PluginPointer(runtime_of(*loaded).attachToContext(nullptr));
  }
  Prepared prepared;
  PluginPointer loaded, attached;
};

TEST(Results, EqualTheReferenceToTheBit) {
  for (const auto& c : all_cases()) {
    SCOPED_TRACE(c->name);
    Life life(*c);
    expect_results(runtime_of(*life.attached), *c, life.prepared);
    expect_results(runtime_of(*life.attached), *c, life.prepared);  // nothing stays behind
  }
  EXPECT_TRUE(logged().empty());
}

TEST(Results, OfContextsInTwoThreadsDoNotMix) {
  const auto cases = all_cases();
  for (std::size_t i = 0; i + 1 < cases.size(); ++i) {
    Case &first = *cases[i], &second = *cases[i + 1];
    Life a(first), b(second);
    const PluginPointer another(runtime_of(*a.loaded).attachToContext(nullptr));
    const auto repeat = [](nvinfer1::IPluginV3& plugin, const Case& c, const Prepared& p) {
      for (int n = 0; n < 5; ++n) expect_results(runtime_of(plugin), c, p);
    };
    std::thread one([&] { repeat(*a.attached, first, a.prepared); });
    std::thread two([&] { repeat(*another, first, a.prepared); });
    repeat(*b.attached, second, b.prepared);
    one.join();
    two.join();
  }
}

TEST(Results, AreMadeWithoutAllocating) {
  for (const auto& c : all_cases()) {
    Life life(*c);
    const Prepared& p = life.prepared;
    std::vector<std::vector<char>> memory;
    std::vector<void*> outputs;
    for (const Tensor& t : c->outputs) memory.emplace_back(t.data.size());
    for (auto& block : memory) outputs.push_back(block.data());
    Guarded workspace(p.workspace);
    auto& plugin = runtime_of(*life.attached);
    const long before = allocations;
    const auto status =
        plugin.enqueue(p.in.data(), p.out.data(), p.inputs.data(), outputs.data(), workspace.data(), nullptr);
    EXPECT_EQ(allocations, before) << c->name;
    EXPECT_EQ(status, 0);
  }
}

TEST(Results, AreNotMadeWithoutMemory) {
  for (const auto& c : all_cases()) {
    Life life(*c);
    const Prepared& p = life.prepared;
    std::vector<void*> outputs(c->outputs.size(), nullptr);
    Guarded workspace(p.workspace);
    logged();
    EXPECT_NE(runtime_of(*life.attached)
                  .enqueue(p.in.data(), p.out.data(), p.inputs.data(), outputs.data(), workspace.data(), nullptr),
              0);
    EXPECT_EQ(logged().size(), 1u);
    std::vector<const void*> inputs(c->inputs.size(), nullptr);
    EXPECT_NE(runtime_of(*life.attached)
                  .enqueue(p.in.data(), p.out.data(), inputs.data(), outputs.data(), workspace.data(), nullptr),
              0);
    EXPECT_EQ(logged().size(), 1u);
  }
}

}  // namespace
}  // namespace spit::test
