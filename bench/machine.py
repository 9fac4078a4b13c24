"""What the results say about where they come from."""
import os
import pathlib
import platform
import re
import subprocess

from processes import HERE


def processor():
    """Its name, and the same as part of a file's name."""
    text = pathlib.Path("/proc/cpuinfo").read_text() if os.path.exists("/proc/cpuinfo") else ""
    found = dict(re.findall(r"^([\w ]+?)\s*: (.*)$", text.split("\n\n")[0], re.M))
    name = found.get("model name", platform.machine())
    if "model" in found:
        name += f" (family {found['cpu family']}, model {found['model']})"
    slug = re.sub(r"[^a-z0-9]+", "-", re.sub(r"\((r|tm)\)| cpu|processor|@.*", "", name.lower().replace(
        "family ", "f").replace("model ", "m"))).strip("-")
    return name, slug


def commit():
    out = subprocess.run(["git", "-C", str(HERE), "describe", "--always", "--dirty"], capture_output=True, text=True)
    return out.stdout.strip() or "unknown"


def niceness():
    try:
        group = pathlib.Path("/proc/self/autogroup").read_text().split()[-1]
    except (OSError, IndexError):
        group = "0"
    return f"the benchmark's niceness {os.getpriority(os.PRIO_PROCESS, 0)}, of its scheduling group {group}"
