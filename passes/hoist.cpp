#include "passes/hoist.h"

#include "passes/probe.h"
#include "passes/rewrite.h"
#include "passes/scan_hoisting.h"

namespace netc {

ScanHoisting::ScanHoisting(Function& function, NodeId scan)
    : function_(function), outer_(function), scan_(scan), node_(function[scan]),
      steps_(node_.attributes.get<Shape>("steps")[0]), body_(function.bodies[number("body")]) {
    const std::size_t sequences = number("sequences"), carries = number("carries");
    for (std::size_t k = 0; k < node_.inputs.size(); ++k) {
        inputs_.push_back({k < sequences             ? Kind::sequence
                           : k < sequences + carries ? Kind::carry
                                                     : Kind::fixed,
                           node_.inputs[k]});
    }
    carries_ = carries;
    outer_.set_origin(node_.origin);
    values_.resize(body_.results.size());
}

void ScanHoisting::hoist_fixed() {
    classify();
    move_fixed();
}

void ScanHoisting::hoist_steps() {
    classify();
    move_lifted();
    find_results();
    find_sums();
    find_sunk();
}

void ScanHoisting::classify() {
    carried_.assign(body_.nodes.size(), false);
    stepwise_.assign(body_.nodes.size(), false);
    from_outside_.assign(body_.nodes.size(), false);
    contraction_.assign(body_.nodes.size(), false);
    for (std::uint32_t i = 0; i < body_.nodes.size(); ++i) {
        const NodeId id{i};
        carried_[i] = is_input(id, Kind::carry);
        stepwise_[i] = is_input(id, Kind::sequence);
        from_outside_[i] = is_input(id, Kind::fixed);
        for (const NodeId input : at(id).inputs) {
            carried_[i] = carried_[i] || carried_[input.index];
            stepwise_[i] = stepwise_[i] || stepwise_[input.index];
            from_outside_[i] = from_outside_[i] || from_outside_[input.index];
        }
        contraction_[i] = probe(body_, id).contraction;
    }
}

void ScanHoisting::sort_body() {
    for (auto& value : values_) value.terms.clear();
    fixed_.clear();
    stacked_.clear();
    sort_topologically(body_);
    classify();
}

namespace {

template <class Work>
void each_scan(Function& function, Work work) {
    std::vector<NodeId> scans;
    for (std::uint32_t i = 0; i < function.nodes.size(); ++i) {
        if (function.nodes[i].op == OpId::scan) scans.push_back({i});
    }
    for (const NodeId scan : scans) {
        ScanHoisting hoisting(function, scan);
        work(hoisting);
        hoisting.finish();
    }
    if (!scans.empty()) sort_topologically(function);
}

}  // namespace

void hoist(Function& function) {
    each_scan(function, [](ScanHoisting& hoisting) {
        hoisting.hoist_fixed();
        hoisting.hoist_steps();
    });
}

void hoist_fixed(Function& function) {
    each_scan(function, [](ScanHoisting& hoisting) { hoisting.hoist_fixed(); });
}

}  // namespace netc
