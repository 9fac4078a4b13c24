// Whether this program is slower and larger than what users get.
#pragma once

namespace netc::test {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__OPTIMIZE__)
inline constexpr bool kInstrumented = true;
#elif defined(__has_feature)  // clang's
inline constexpr bool kInstrumented =
    __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
inline constexpr bool kInstrumented = false;
#endif

}  // namespace netc::test
