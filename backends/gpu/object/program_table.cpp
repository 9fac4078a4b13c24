#include "backends/gpu/object/program_table.h"

#include <algorithm>
#include <array>
#include <limits>
#include <ranges>
#include <vector>

#include "backends/gpu/object/object_program.h"
#include "backends/gpu/tensor_map.h"
#include "ir/region_hash.h"
#include "ir/slots.h"

namespace netc {
namespace {

static_assert(static_cast<int>(RegionKind::weights) == NETC_WEIGHTS &&
              static_cast<int>(RegionKind::prepared) == NETC_PREPARED &&
              static_cast<int>(RegionKind::optimizer) == NETC_OPTIMIZER &&
              static_cast<int>(RegionKind::workspace) == NETC_WORKSPACE &&
              static_cast<int>(RegionKind::input) == NETC_INPUT &&
              static_cast<int>(RegionKind::output) == NETC_OUTPUT &&
              static_cast<int>(RegionKind::hyper) == NETC_HYPER);

constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
constexpr std::array<const char*, NETC_ENTRIES> kEntries{"init", "prepare", "forward", "gradient",
                                                         "train_step"};

// First in floating point, where products do not overflow.
bool fits(const Param& param, std::int64_t batch) {
    double count = 1;
    for (const Extent& dim : param.dims) count *= static_cast<double>(dim.at(batch));
    return count <= static_cast<double>(kMost) && element_count(param, batch) <= kMost;
}
bool fits(const GpuLaunch& launch, std::int64_t batch) {
    double count = 1;
    for (const GridFactor& factor : launch.grid) count *= static_cast<double>(factor.at(batch));
    return count <= static_cast<double>(kMost);
}
bool fits(const Program& program, const Entry& entry, const GpuCode& code, std::int64_t batch) {
    return std::ranges::all_of(entry.calls, [&](const Call& call) {
        const GpuKernel& kernel = code.kernels[call.kernel];
        const auto param_fits = [&](const Param& param) { return fits(param, batch); };
        return std::ranges::all_of(program.kernels[call.kernel].params, param_fits) &&
               std::ranges::all_of(kernel.scratch, param_fits) &&
               std::ranges::all_of(kernel.launches,
                                   [&](const GpuLaunch& launch) { return fits(launch, batch); });
    });
}

NetcBytes of(const Bytes& bytes) { return {bytes.constant, bytes.per_16, bytes.per_sample}; }
NetcExtent of(const Extent& extent) { return {extent.per_batch, extent.constant, extent.divisor}; }

// The arrays while they grow. Each add_ gives where it put what it was given.
class TableWriter {
public:
    TableWriter(const Program& program, const GpuCode& code) : program_(program), code_(code) {}

    void add_kernels() {
        for (const GpuKernel& kernel : code_.kernels) {
            std::vector<NetcLaunch> launches;
            for (const GpuLaunch& launch : kernel.launches) {
                launches.push_back({.symbol = text_.size(),
                                    .threads = launch.threads,
                                    .shared_bytes = static_cast<std::int32_t>(launch.shared_bytes),
                                    .factors = add_factors(launch.grid),
                                    .tensors = add_tensors(launch.tensors)});
                text_ += launch.symbol + '\0';
            }
            std::vector<NetcArray> scratch;
            for (const Param& param : kernel.scratch)
                scratch.push_back(array(param.dtype, param.dims, -1));
            kernels_.push_back({add(launches_, launches), add(arrays_, scratch)});
        }
    }

    void add_entry(const Entry& entry) {
        NetcEntry made{};
        made.most = largest_batch(program_, entry, code_);
        made.workspace = of(entry.workspace);
        made.calls = add_calls(entry);
        std::vector<NetcLoop> loops;
        for (const Loop& loop : entry.loops) loops.push_back({loop.begin, loop.end, loop.steps});
        made.loops = add(loops_, loops);
        most_loops_ = std::max(most_loops_, entry.loops.size());
        std::vector<NetcArray> inputs, outputs;
        for (const EntryArgument& input : entry.inputs)
            inputs.push_back(array(input.dtype, input.dims, -1));
        for (const EntryArgument& output : entry.outputs)
            outputs.push_back(array(output.dtype, output.dims, place_of(output.name)));
        made.inputs = add(arrays_, inputs);
        made.outputs = add(arrays_, outputs);
        most_arrays_ = std::max(most_arrays_, inputs.size() + outputs.size());
        std::vector<NetcIndex> indices;
        for (const Entry::IndexRange& range : entry.index_ranges) {
            const DType dtype = entry.inputs[range.input].dtype;
            NetcIndex& index = indices.emplace_back();
            index = {range.input,
                     dtype != DType::u8 && dtype != DType::b1,
                     range.limit,
                     range.ignored,
                     {}};
            for (std::size_t p = 0; p < range.parts.size(); ++p) {
                const Entry::IndexRange::Part& part = range.parts[p];
                index.parts[p] = {part.inner, part.extent, part.begin, part.end};
            }
        }
        made.indices = add(indices_, indices);
        std::vector<NetcEqual> equals;
        for (const Entry::EqualExtents& each : entry.equal_extents)
            equals.push_back({of(each.found), of(each.wanted)});
        made.equals = add(equals_, equals);
        entries_.push_back(made);
    }

    std::string finish(NetcProgram head) const {
        head.most_parameters = static_cast<std::uint32_t>(most_parameters_);
        head.most_loops = static_cast<std::uint32_t>(most_loops_);
        head.most_arrays = static_cast<std::uint32_t>(most_arrays_);
        head.launch_count = static_cast<std::uint32_t>(launches_.size());
        std::string bytes(sizeof head, '\0');
        const auto put = [&](const auto& list) {
            const std::uint64_t at = bytes.size();
            bytes.append(reinterpret_cast<const char*>(list.data()), list.size() * sizeof list[0]);
            return at;
        };
        head.entries = put(entries_);
        head.calls = put(calls_);
        head.loops = put(loops_);
        head.buffers = put(buffers_);
        head.strides = put(strides_);
        head.kernels = put(kernels_);
        head.launches = put(launches_);
        head.factors = put(factors_);
        head.tensors = put(tensors_);
        head.dims = put(dims_);
        head.arrays = put(arrays_);
        head.extents = put(extents_);
        head.indices = put(indices_);
        head.equals = put(equals_);
        head.text = put(text_);
        bytes.replace(0, sizeof head, reinterpret_cast<const char*>(&head), sizeof head);
        return bytes;
    }

private:
    template <class T>
    static NetcRange add(std::vector<T>& all, const std::vector<T>& more) {
        const auto first = static_cast<std::uint32_t>(all.size());
        all.insert(all.end(), more.begin(), more.end());
        return {first, static_cast<std::uint32_t>(more.size())};
    }

    NetcArray array(DType dtype, const std::vector<Extent>& dims, std::int64_t place) {
        std::vector<NetcExtent> extents;
        for (const Extent& dim : dims) extents.push_back(of(dim));
        return {size_of(dtype), place, add(extents_, extents)};
    }

    NetcRange add_factors(const std::vector<GridFactor>& grid) {
        std::vector<NetcFactor> factors;
        for (const GridFactor& each : grid)
            factors.push_back({of(each.extent), each.points, each.unit, each.times});
        return add(factors_, factors);
    }

    NetcRange add_tensors(const std::vector<GpuTensor>& views) {
        std::vector<NetcTensor> tensors;
        for (const GpuTensor& view : views) {
            const TensorMapRequest request = tensor_map_request(view, 0, 1);
            std::vector<NetcDim> dims;
            for (std::size_t d = 0; d < view.dims.size(); ++d)
                dims.push_back({of(view.dims[d].extent),
                                static_cast<std::int64_t>(request.strides[d]), request.box[d], 0});
            tensors.push_back({view.param, request.type, request.swizzle, 0,
                               static_cast<std::int64_t>(request.address), add(dims_, dims)});
        }
        return add(tensors_, tensors);
    }

    NetcRange add_calls(const Entry& entry) {
        std::vector<NetcCall> calls;
        for (const Call& call : entry.calls) {
            std::vector<NetcBuffer> buffers;
            for (const BufferRef& buffer : call.arguments) {
                std::vector<NetcStride> strides;
                for (const Stride& stride : buffer.strides)
                    strides.push_back({stride.loop, of(stride.bytes), stride.first, stride.modulo});
                buffers.push_back({static_cast<std::uint32_t>(buffer.region), buffer.number,
                                   of(buffer.offset), add(strides_, strides)});
            }
            // And the batch, and the flag.
            most_parameters_ = std::max(
                most_parameters_, buffers.size() + code_.kernels[call.kernel].scratch.size() + 2);
            calls.push_back({call.kernel, add(buffers_, buffers)});
        }
        return add(calls_, calls);
    }

    // Of a gradient, in the region that is laid out like the weights.
    std::int64_t place_of(const std::string& output) const {
        const auto place = std::ranges::find_if(program_.weights, [&](const VariablePlace& each) {
            return "grad:" + each.name == output;
        });
        return place == program_.weights.end() ? -1 : place->offset;
    }

    const Program& program_;
    const GpuCode& code_;
    std::vector<NetcEntry> entries_;
    std::vector<NetcCall> calls_;
    std::vector<NetcLoop> loops_;
    std::vector<NetcBuffer> buffers_;
    std::vector<NetcStride> strides_;
    std::vector<NetcKernel> kernels_;
    std::vector<NetcLaunch> launches_;
    std::vector<NetcFactor> factors_;
    std::vector<NetcTensor> tensors_;
    std::vector<NetcDim> dims_;
    std::vector<NetcArray> arrays_;
    std::vector<NetcExtent> extents_;
    std::vector<NetcIndex> indices_;
    std::vector<NetcEqual> equals_;
    std::string text_;
    std::size_t most_parameters_ = 0, most_loops_ = 0, most_arrays_ = 0;
};

}  // namespace

std::int64_t largest_batch(const Program& program, const Entry& entry, const GpuCode& code) {
    std::int64_t good = 0, bad = kMost + 1;  // tensors only grow with the batch
    while (good + 1 < bad) {
        const std::int64_t middle = good + (bad - good) / 2;
        (fits(program, entry, code, middle) ? good : bad) = middle;
    }
    return good;
}

std::string program_table(const Program& program, const GpuCode& code, const GpuTarget& target,
                          const ObjectOptions& options) {
    TableWriter writer(program, code);
    writer.add_kernels();
    for (int number = 0; number < (options.train ? NETC_ENTRIES : NETC_GRADIENT); ++number)
        writer.add_entry(*program.find(kEntries[static_cast<std::size_t>(number)]));
    NetcProgram head{};
    for (int region = 0; region < NETC_HASHES; ++region)
        head.hashes[region] = region_hash(program, static_cast<RegionKind>(region));
    head.seed = options.seed;
    if (const VariablePlace* slot = steps_per_epoch_slot(program)) {
        head.steps_per_epoch = options.steps_per_epoch;
        head.steps_slot = slot->offset;
    }
    head.weights_size = program.weights_size;
    head.prepared_size = program.prepared_size;
    head.optimizer_size = options.train ? program.optimizer_size : 0;
    head.capability = target.sm;
    head.only_there = target.arch;
    return writer.finish(head);
}

}  // namespace netc
