// The JIT for GPUs: passes and emission give PTX, the driver makes machine code of it, and the cache keeps each. With
// everything in the cache neither passes nor emission run, and the driver only loads.
#include "backends/gpu/gpu_jit.h"

#include <fmt/format.h>

#include "backends/cpu/code_cache.h"
#include "backends/cpu/stopwatch.h"
#include "backends/gpu/gpu_archive.h"

namespace netc {

namespace {

constexpr int kOldestCapability = 80;

std::string pack(const GpuCode& code) {
    ArchiveWriter writer;
    writer(code.ptx, code.kernels);
    return std::move(writer.bytes);
}

std::optional<GpuCode> unpack(const std::string& bytes) {
    ArchiveReader reader(bytes);
    GpuCode code;
    reader(code.ptx, code.kernels);
    if (!reader.ok() || !reader.at_end()) return std::nullopt;
    return code;
}

Result<GpuTarget> target_of(const Device& device, const std::string& wanted) {
    const int capability = device.capability();
    const std::string has = fmt::format("{} has compute capability {}.{}", device.name(),
                                        capability / 10, capability % 10);
    if (capability < kOldestCapability)
        return Error{kExitRun, has + ", and netc needs 8.0 or later", std::nullopt,
                     "`--device cpu` runs here"};
    const GpuTarget own = capability == 90 ? GpuTarget{90, true} : GpuTarget{80, false};
    if (wanted.empty()) return own;
    for (const GpuTarget& each :
         {GpuTarget{80, false}, GpuTarget{90, false}, GpuTarget{90, true}}) {
        if (each.name() != wanted) continue;
        if (each.arch ? each.sm == capability : each.sm <= capability) return each;
        return Error{kExitUsage, fmt::format("{}: it does not run code for {}", has, wanted)};
    }
    return Error{kExitUsage, fmt::format("there is no GPU target `{}`", wanted), std::nullopt,
                 "sm_80, sm_90, sm_90a"};
}

class ImageMaker {
public:
    ImageMaker(SharedDevice device, GpuTarget target, ProgramSource source, EmitGpuCode emitter,
               const GpuOptions& options)
        : device_(std::move(device)), target_(target), source_(std::move(source)),
          emitter_(std::move(emitter)), cache_(options.cache_directory), times_(options.times) {}

    // The program, without kernels from the cache, and the parameters of its kernels.
    Status read(Program& program, std::vector<std::vector<Param>>& params) {
        const std::string key = code_key({"gpu program", source_.key});
        if (!source_.key.empty()) {
            if (const auto bytes = cache_.load(key)) {
                ArchiveReader reader(*bytes);
                reader(program, params);
                if (reader.ok() && reader.at_end()) return {};
                program = {};
                params.clear();
            }
        }
        if (Status s = make(); !s) return s;
        program = *made_;
        for (const Kernel& kernel : made_->kernels) params.push_back(kernel.params);
        if (source_.key.empty()) return {};
        ArchiveWriter writer;
        writer(program, params);
        cache_.save(key, writer.bytes);
        return {};
    }

    Result<GpuImage> image(const std::vector<std::string>& entries) {
        Result<GpuCode> code = code_of(entries);
        if (!code) return code.error();
        Result<std::string> binary = binary_of(code->ptx);
        if (!binary) return binary.error();
        cache_.trim();
        return GpuImage{std::move(*binary), std::move(code->kernels)};
    }
    void loaded() { times_ = nullptr; }  // the caller's times go

private:
    Status make() {
        if (made_) return {};
        Result<Program> program = source_.make();
        if (!program) return program.error();
        made_ = std::move(*program);
        return {};
    }

    CompileTimes& times() { return times_ != nullptr ? *times_ : unasked_; }

    Result<GpuCode> code_of(const std::vector<std::string>& entries) {
        std::vector<std::string> parts{"gpu code", source_.key, target_.name(),
                                       target_.tf32 ? "tf32" : "f32"};
        parts.insert(parts.end(), entries.begin(), entries.end());
        const std::string key = code_key(parts);
        times().objects += 1;
        if (!source_.key.empty()) {
            if (const auto bytes = cache_.load(key)) {
                if (std::optional<GpuCode> code = unpack(*bytes)) {
                    times().cached += 1;
                    return std::move(*code);
                }
            }
        }
        if (Status s = make(); !s) return s.error();
        const Stopwatch watch(times().compiling);
        Result<GpuCode> code = emitter_(*made_, entries, target_);
        if (code && !source_.key.empty()) cache_.save(key, pack(*code));
        return code;
    }

    // Machine code for this device and driver, which compile it.
    Result<std::string> binary_of(const std::string& ptx) {
        const std::string key = code_key({"cubin", ptx, target_.name(), device_->name(),
                                          std::to_string(device_->capability()),
                                          std::to_string(device_->driver().version())});
        times().objects += 1;
        if (auto bytes = cache_.load(key)) {
            times().cached += 1;
            return std::move(*bytes);
        }
        const Stopwatch watch(times().link);
        if (Status s = device_->use(); !s) return s.error();
        Result<std::string> binary = link_ptx(device_, ptx, target_.arch ? target_.sm : 0);
        // A driver that loads PTX but does not link it keeps machine code for itself; where it does not take the
        // text at all, loading says so.
        if (!binary) return ptx;
        cache_.save(key, *binary);
        return binary;
    }

    SharedDevice device_;
    GpuTarget target_;
    ProgramSource source_;
    EmitGpuCode emitter_;
    CodeCache cache_;
    CompileTimes* times_;  // of the caller, while the program is loaded
    CompileTimes unasked_;
    std::optional<Program> made_;  // kernels, when something has to be compiled
};

}  // namespace

Result<std::unique_ptr<GpuExecutable>> gpu_jit_with(ProgramSource source, const GpuOptions& options,
                                                    EmitGpuCode emitter) {
    Result<std::shared_ptr<const Driver>> driver = Driver::load(options.driver);
    if (!driver) return driver.error();
    Result<SharedDevice> device = Device::open(std::move(*driver), options.device);
    if (!device) return device.error();
    Result<GpuTarget> target = target_of(**device, options.target);
    if (!target) return target.error();
    target->tf32 = options.tf32;
    const auto maker = std::make_shared<ImageMaker>(*device, *target, std::move(source),
                                                    std::move(emitter), options);
    Program program;
    std::vector<std::vector<Param>> params;
    if (Status s = maker->read(program, params); !s) return s.error();
    Result<std::unique_ptr<GpuExecutable>> made = GpuExecutable::create(
        std::move(*device), std::move(program), std::move(params),
        [maker](const std::vector<std::string>& entries) { return maker->image(entries); },
        options.entries, options.deferred);
    maker->loaded();
    return made;
}

Result<std::unique_ptr<Executable>> gpu_jit(ProgramSource source, const GpuOptions& options) {
    Result<std::unique_ptr<GpuExecutable>> made =
        gpu_jit_with(std::move(source), options, emit_gpu_code);
    if (!made) return made.error();
    return std::unique_ptr<Executable>(std::move(*made));
}

}  // namespace netc
