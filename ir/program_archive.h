// The fields of a Program for ir/archive.h: all but its kernels, which are code by then.
#pragma once

#include "ir/archive.h"
#include "ir/program.h"

namespace netc {

template <class Archive>
void archive_fields(Archive& archive, Bytes& bytes) {
    archive(bytes.constant, bytes.per_16, bytes.per_sample);
}
template <class Archive>
void archive_fields(Archive& archive, Extent& extent) {
    archive(extent.per_batch, extent.constant, extent.divisor);
}
template <class Archive>
void archive_fields(Archive& archive, Span& span) {
    archive(span.file, span.begin, span.end);
}
template <class Archive>
void archive_fields(Archive& archive, Origin& origin) {
    archive(origin.span, origin.instance, origin.calls);
}
template <class Archive>
void archive_fields(Archive& archive, Stride& stride) {
    archive(stride.loop, stride.bytes, stride.first, stride.modulo);
}
template <class Archive>
void archive_fields(Archive& archive, BufferRef& buffer) {
    archive(buffer.region, buffer.number, buffer.offset, buffer.strides);
}
template <class Archive>
void archive_fields(Archive& archive, Loop& loop) {
    archive(loop.begin, loop.end, loop.steps);
}
template <class Archive>
void archive_fields(Archive& archive, Call& call) {
    archive(call.kernel, call.arguments, call.label, call.origin);
}
template <class Archive>
void archive_fields(Archive& archive, EntryArgument& argument) {
    archive(argument.name, argument.dtype, argument.dims, argument.doc);
}
template <class Archive>
void archive_fields(Archive& archive, Entry::IndexRange::Part& part) {
    archive(part.inner, part.extent, part.begin, part.end);
}
template <class Archive>
void archive_fields(Archive& archive, Entry::IndexRange& range) {
    archive(range.input, range.limit, range.ignored, range.parts[0], range.parts[1]);
}
template <class Archive>
void archive_fields(Archive& archive, Entry::EqualExtents& extents) {
    archive(extents.found, extents.wanted, extents.text);
}
template <class Archive>
void archive_fields(Archive& archive, Entry& entry) {
    archive(entry.name, entry.inputs, entry.outputs, entry.calls, entry.loops, entry.origins,
            entry.workspace, entry.reads_weights, entry.writes_weights, entry.reads_prepared,
            entry.writes_prepared, entry.reads_optimizer, entry.writes_optimizer,
            entry.index_ranges, entry.equal_extents);
}
template <class Archive>
void archive_fields(Archive& archive, VariablePlace& place) {
    archive(place.name, place.dtype, place.dims, place.offset, place.size, place.kind,
            place.frozen);
}
template <class Archive>
void archive_fields(Archive& archive, Program& program) {
    archive(program.name, program.model_hash, program.entries, program.weights, program.slots,
            program.weights_size, program.prepared_size, program.optimizer_size,
            program.batch_hint);
}

}  // namespace netc
