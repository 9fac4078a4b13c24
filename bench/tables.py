"""The tables of the results. Times are (minimum, median) in seconds, or None."""

NEAR = 1.1      # a figure within this factor of the roofline is met, whatever its target
MEMORY = 0.6    # of PyTorch's resident set, at most


def digits(value):
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def pair(times):
    return f"{digits(times[0] * 1e6)} ({digits(times[1] * 1e6)})" if times else "missing"


def verdict(met):
    return "met" if met else "**missed**"


def table(head, rows):
    """A column is right-aligned where its head ends with a colon."""
    return ["| " + " | ".join(name.rstrip(":") for name in head) + " |",
            "|" + "|".join("---:" if name.endswith(":") else "---" for name in head) + "|",
            *("| " + " | ".join(row) + " |" for row in rows)]


def target(work):
    return " and ".join([f"{100 * work.share:.0f} % of peak"] * bool(work.share) + [f"{work.ratio:g} x"] * bool(work.ratio))


def judge(work, ours, theirs, bound, peaks, same):
    """Whether the target holds: a word for the table."""
    if same is not None and not same.equal:
        return "**different**"
    if not ours:
        return "not measured"
    if ours[0] <= NEAR * bound:
        return "met: roofline"
    if not target(work):
        return ""
    if work.share and work.flops / ours[0] / 1e9 < work.share * peaks.gflops:
        return verdict(False)
    if not work.ratio:
        return verdict(True)
    return verdict(theirs[0] / ours[0] >= work.ratio) if theirs else "no peer"


STEPS = ["workload", "MFLOP:", "MB:", "roofline us:", "bound", "netc us:", "best peer us:", "peer", "peer / netc:",
         "of FMA peak:", "of roofline:", "target", "", "others:"]


def step_row(work, row, peaks, same):
    """row: what rounds.py has measured of this workload."""
    bound, by = peaks.bound(work)
    ours, (peer, theirs) = row.netc_times(), row.best_peer()
    return [work.name, digits(work.flops / 1e6), digits((work.read + work.written) / 1e6), digits(bound * 1e6), by, pair(ours),
            pair(theirs), peer or "-", f"{digits(theirs[0] / ours[0])} x" if ours and theirs else "-",
            f"{100 * work.flops / ours[0] / 1e9 / peaks.gflops:.1f} %" if ours and work.flops else "-",
            f"{100 * bound / ours[0]:.1f} %" if ours else "-", target(work) or "-",
            judge(work, ours, theirs, bound, peaks, same), f"{max(row.others, default=0):.2f}"]


SAME = ["workload", "largest difference:", "allowed:", "", "netc's tenth loss:", "PyTorch's:"]


def same_row(work, same):
    if isinstance(same, str):
        return [work.name, "-", f"{work.tolerance:g}", same, "", ""]
    losses = [f"{same.ours:.7g}", f"{same.theirs:.7g}"] if work.group == "train" else ["", ""]
    return [work.name, f"{same.worst:.1e}", f"{work.tolerance:g}", "equal" if same.equal else "**different**", *losses]


HELD = ["workload", "netc MiB:", "PyTorch MiB:", "share:", "target", ""]


def memory_row(work, same):
    share = same.mib / same.their_mib
    return [work.name, f"{same.mib:.0f}", f"{same.their_mib:.0f}", f"{share:.2f}", f"{MEMORY:g} at most",
            verdict(share <= MEMORY) if same.equal else "**different**"]


STARTED = ["workload", "program", "variant", "ms:", "MiB:", "fastest peer of the variant / netc:"]


def startup_rows(name, rows):
    """The same variant of the fastest peer, if it has one, beside netc's; an object has what a cache would give."""
    fastest = {}
    for who, variant, seconds, _ in rows:
        if who != "netc":
            fastest[variant] = min(seconds, fastest.get(variant, seconds))
    fastest["object"] = fastest.get("cached")
    for who, variant, seconds, mib in rows:
        beside = fastest.get(variant) if who == "netc" else None
        yield [name, who, variant, f"{seconds * 1e3:.1f}", f"{mib:.0f}", f"{digits(beside / seconds)} x" if beside else ""]
