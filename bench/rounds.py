"""Takes turns: netc and then each peer, on the same cores, workload after workload, round after round."""
import json
import statistics
import sys
from dataclasses import dataclass, field

from processes import Busy, Failed, run
from same_work import net_file, section

HOPELESS = 1.5  # a peer that needs so many times the best peer's time in the first round rests in the others


@dataclass
class Row:
    netc: list = field(default_factory=list)     # (minimum, median) of each round, in seconds
    peers: dict = field(default_factory=dict)    # peer -> the same
    others: list = field(default_factory=list)   # cores that others had meanwhile
    errors: dict = field(default_factory=dict)   # who -> why it has no figure

    def netc_times(self):
        return best(self.netc)

    def best_peer(self):
        """(name, times), or twice None."""
        return min(((peer, best(times)) for peer, times in self.peers.items() if times),
                   key=lambda found: found[1][0], default=(None, None))


def best(times):
    """The smallest minimum and the middle one of the medians."""
    return (min(t[0] for t in times), statistics.median(t[1] for t in times)) if times else None


def time_netc(netc, work, cores, *more):
    """((minimum, median), processor seconds that it took)"""
    done = run([netc, "bench", net_file(work), work.model, *section(work), f"--mode={work.mode}", *work.options,
                "--batch", work.batch, "--threads", len(cores), "--json", *["--kernels"] * bool(work.kernels), *more], cores)
    whole, *parts = json.loads(done["out"])
    rows = counted(work, parts) if work.kernels else [whole]
    return (sum(row["seconds_min"] for row in rows), sum(row["seconds_median"] for row in rows)), done["cpu"]


def counted(work, rows):
    """The kernels that count. Of several with the same name it is the last: a step's forward pass, which may transform and
    multiply as the gradient does, comes first."""
    for names in work.kernels:
        last = [max((row for row in rows if name in row["what"]), key=lambda row: row["call"], default=None) for name in names]
        if all(last):
            return list({row["call"]: row for row in last}.values())
    raise Failed(f"no kernels are called {' or '.join(', '.join(names) for names in work.kernels)}")


def still_in(row, peer):
    """Whether a peer may yet turn out to be the best."""
    if peer in row.errors:
        return False
    fastest = row.best_peer()[1]
    return not row.peers.get(peer) or best(row.peers[peer])[0] <= HOPELESS * fastest[0]


def one_round(netc, peers, work, row, seconds):
    if "netc" not in row.errors:
        try:
            with Busy() as busy:
                times, own = time_netc(netc, work, peers.cores)
            row.netc.append(times)
            row.others.append(busy.others(own))
        except Failed as error:
            row.errors["netc"] = str(error)
    for peer in [p for p in peers.of(work) if still_in(row, p)]:
        try:
            found = peers.time(peer, work, seconds)
            row.peers.setdefault(peer, []).append((found["min_s"], found["median_s"]))
        except Failed as error:
            row.errors[peer] = str(error)


def measure(netc, peers, works, count, seconds):
    """{workload's name: Row} after each round."""
    rows = {work.name: Row() for work in works}
    for index in range(count):
        for work in works:
            print(f"round {index + 1} of {count}: {work.name}", file=sys.stderr, flush=True)
            one_round(netc, peers, work, rows[work.name], seconds[work.group])
        yield rows
