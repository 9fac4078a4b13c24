// Memory for arrays: weights, workspaces, files.
#pragma once

#include <cstddef>
#include <memory>

namespace netc {

// Zeros, aligned to 64 bytes; of 1 MiB and more in pages of 2 MiB where the system has them. Walks through images
// touch a page for every few elements: fewer pages, fewer misses. Pages take memory when they are first touched. Null
// where there is none to be had.
std::shared_ptr<std::byte> allocate_zeroed(std::size_t size);

}  // namespace netc
