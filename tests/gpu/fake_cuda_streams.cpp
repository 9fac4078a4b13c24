// The fake driver's streams: the queue of work, which is done late, captures and graphs of it, events.
#include <algorithm>

#include "tests/gpu/fake_cuda.h"

namespace fake_cuda {

void drain(std::size_t until) {
    State& s = state();
    while (!s.work.empty() && s.done < until) {
        const Work next = std::move(s.work.front());
        s.work.pop_front();
        ++s.done;
        next();
    }
}

Result give(void* stream, Work work) {
    FakeStream* const s = handle<FakeStream>(state().streams, stream, "stream");
    if (s == nullptr) return kInvalidHandle;
    s->given += 1;
    if (s->captured != nullptr) {
        s->captured->work.push_back(std::move(work));
    } else if (s->branch_of != nullptr) {
        s->branch_of->captured->work.push_back(std::move(work));
    } else {
        state().work.push_back(std::move(work));
    }
    return kOk;
}
bool captures() {
    for (void* each : state().streams) {
        if (static_cast<FakeStream*>(each)->captured != nullptr) return true;
    }
    return false;
}
Result forbid_capture(const char* function) {
    if (!captures()) return kOk;
    problem(std::string(function) + " while work is recorded");
    return kCapture;
}

}  // namespace fake_cuda

using namespace fake_cuda;

NETC_FAKE Result cuStreamCreate(void** stream, unsigned) {
    ENTER();
    *stream = *state().streams.insert(new FakeStream).first;
    return kOk;
}
NETC_FAKE Result cuStreamDestroy_v2(void* stream) {
    ENTER();
    return destroy<FakeStream>(state().streams, stream, "stream");
}
NETC_FAKE Result cuStreamSynchronize(void* stream) {
    ENTER();
    if (const Result wrong = forbid_capture(__func__); wrong != kOk) return wrong;
    if (handle<FakeStream>(state().streams, stream, "stream") == nullptr) return kInvalidHandle;
    drain();
    return kOk;
}
NETC_FAKE Result cuStreamWaitEvent(void* stream, void* event, unsigned) {
    ENTER();
    // All work is one queue, in the order in which it was given; only which streams belong to a capture counts.
    FakeEvent* const e = handle<FakeEvent>(state().events, event, "event");
    FakeStream* const s = handle<FakeStream>(state().streams, stream, "stream");
    if (e == nullptr || s == nullptr) return kInvalidHandle;
    if (e->captured == nullptr) return kOk;
    if (s != e->captured && s->branch_of == nullptr) {
        s->branch_of = e->captured;
        s->given = s->joined = 0;
    }
    if (s == e->captured) e->stream->joined = std::max(e->stream->joined, e->given);
    return kOk;
}
NETC_FAKE Result cuStreamBeginCapture_v2(void* stream, int) {
    ENTER();
    FakeStream* const s = handle<FakeStream>(state().streams, stream, "stream");
    if (s == nullptr) return kInvalidHandle;
    if (s->captured != nullptr) problem("a capture within a capture");
    s->captured = std::make_unique<FakeGraph>();
    return kOk;
}
NETC_FAKE Result cuStreamEndCapture(void* stream, void** graph) {
    const std::lock_guard lock(state().mutex);
    FakeStream* const s = handle<FakeStream>(state().streams, stream, "stream");
    if (s == nullptr) return kInvalidHandle;
    bool unjoined = false;
    for (void* each : state().streams) {
        auto* const branch = static_cast<FakeStream*>(each);
        if (branch->branch_of != s) continue;
        if (branch->joined < branch->given) unjoined = true;
        branch->branch_of = nullptr;
    }
    std::unique_ptr<FakeGraph> made = std::move(s->captured);
    if (const Result injected = enter(__func__); injected != kOk) return injected;
    if (made == nullptr) return kInvalidValue;
    if (unjoined) return kUnjoined;
    *graph = *state().graphs.insert(made.release()).first;
    return kOk;
}
NETC_FAKE Result cuGraphInstantiateWithFlags(void** exec, void* graph, unsigned long long) {
    ENTER();
    FakeGraph* const g = handle<FakeGraph>(state().graphs, graph, "graph");
    if (g == nullptr) return kInvalidHandle;
    *exec = *state().execs.insert(new FakeGraph(*g)).first;
    return kOk;
}
NETC_FAKE Result cuGraphDestroy(void* graph) {
    ENTER();
    return destroy<FakeGraph>(state().graphs, graph, "graph");
}
NETC_FAKE Result cuGraphExecDestroy(void* exec) {
    ENTER();
    return destroy<FakeGraph>(state().execs, exec, "executable graph");
}
NETC_FAKE Result cuGraphLaunch(void* exec, void* stream) {
    ENTER();
    FakeGraph* const g = handle<FakeGraph>(state().execs, exec, "executable graph");
    if (g == nullptr) return kInvalidHandle;
    state().order += 'L';
    for (const Work& work : g->work) {
        if (const Result wrong = give(stream, work); wrong != kOk) return wrong;
    }
    return kOk;
}

NETC_FAKE Result cuEventCreate(void** event, unsigned) {
    ENTER();
    *event = *state().events.insert(new FakeEvent).first;
    return kOk;
}
NETC_FAKE Result cuEventDestroy_v2(void* event) {
    ENTER();
    return destroy<FakeEvent>(state().events, event, "event");
}
NETC_FAKE Result cuEventRecord(void* event, void* stream) {
    ENTER();
    FakeEvent* const e = handle<FakeEvent>(state().events, event, "event");
    FakeStream* const s = handle<FakeStream>(state().streams, stream, "stream");
    if (e == nullptr || s == nullptr) return kInvalidHandle;
    e->stream = s;
    e->captured = s->captured != nullptr ? s : s->branch_of;
    e->given = s->given;
    e->work = state().done + state().work.size();
    return kOk;
}
NETC_FAKE Result cuEventSynchronize(void* event) {
    ENTER();
    FakeEvent* const e = handle<FakeEvent>(state().events, event, "event");
    if (e == nullptr) return kInvalidHandle;
    state().order += 'W';
    drain(e->work);
    return kOk;
}
