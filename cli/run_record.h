// command.json of a run directory: how the run was started, each time, and how it ended.
//
//     [{"arguments": ["train", "f.net", "--seed", "3"], "directory": "/home/me", "netc": "0.1.0",
//       "started": "2026-11-21T14:05:00.123Z", "file": "f.net", "section": "F", "watch": "min valid.loss",
//       "options": {"seed": 3, "batch": 64, "epochs": 10}, "settings": {"width": "24"},
//       "ended": "2026-11-21T14:06:10.456Z", "status": 0}]
//
// A resumed run adds an object. Without "status" the process was killed, or still runs.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "cli/workbench.h"
#include "runtime/files/run_directory.h"
#include "runtime/train/trainer.h"

namespace netc {

inline constexpr const char* kRecordFile = "command.json";

// At the start of training; from then on note_run_end knows where.
Status write_run_record(const RunDirectory& directory, const Workbench& bench,
                        const Options& options, const TrainPlan& plan);

// When the process is about to end with `status`; does nothing where no run was begun. Failures are ignored:
// what there is to say has been said.
void note_run_end(const Options& options, int status);

// The list; empty where there is no such file or it is damaged.
nlohmann::ordered_json read_run_record(const std::string& directory);

// The command line that continues this run, for a shell.
std::string command_to_go_on(const Options& options, const std::string& directory);

// "2026-11-21T14:05:00.123Z"
std::string iso_time(double unix_seconds);

}  // namespace netc
