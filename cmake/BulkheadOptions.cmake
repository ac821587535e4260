# Compiler options shared by every target of the project.
#
# bulkhead_options    warnings, as errors; link it PRIVATE to each library and program
# bulkhead_sanitize   the same with ASan and UBSan, for tests and fuzzers
# bulkhead_hardened   the same with what hardens programs of the parent

add_library(bulkhead_options INTERFACE)
target_compile_options(bulkhead_options INTERFACE
  $<$<COMPILE_LANGUAGE:C>:-Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes
    -Wmissing-prototypes -Wvla -Wundef -Werror>)
target_include_directories(bulkhead_options INTERFACE ${CMAKE_SOURCE_DIR})

add_library(bulkhead_sanitize INTERFACE)
target_link_libraries(bulkhead_sanitize INTERFACE bulkhead_options)
target_compile_options(bulkhead_sanitize INTERFACE
  -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g)
target_link_options(bulkhead_sanitize INTERFACE -fsanitize=address,undefined)

add_library(bulkhead_hardened INTERFACE)
target_link_libraries(bulkhead_hardened INTERFACE bulkhead_options)
target_compile_options(bulkhead_hardened INTERFACE
  -fstack-protector-strong -fPIE $<$<CONFIG:RelWithDebInfo,Release>:-D_FORTIFY_SOURCE=2>)
target_link_options(bulkhead_hardened INTERFACE -pie -Wl,-z,relro,-z,now)
