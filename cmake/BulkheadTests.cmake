# How tests are built and registered with ctest. LABELS is the part of tests/run they belong to.
#
#   bulkhead_unit_test(NAME SOURCES source... [LIBS library...])
#       unit-NAME: a cmocka program with ASan and UBSan.
#   bulkhead_model_test(NAME SOURCES source... [LIBS library...] [ARGS argument...])
#       model-NAME: a program that visits all states of a small system.
#   bulkhead_fuzz_test(NAME SOURCES source... [LIBS library...])
#       fuzz-NAME: a libFuzzer program, built by clang whatever the compiler of the rest is. ctest
#       runs it for BULKHEAD_FUZZ_SECONDS; a folder corpus/NAME beside it holds inputs to begin with.
include(CMakeParseArguments)
set(BULKHEAD_FUZZ_SECONDS 20 CACHE STRING "How long ctest runs each fuzz target")

function(bulkhead_unit_test name)
  cmake_parse_arguments(arg "" "" "SOURCES;LIBS" ${ARGN})
  add_executable(unit-${name} ${arg_SOURCES})
  target_link_libraries(unit-${name} PRIVATE ${arg_LIBS} bulkhead_sanitize cmocka)
  add_test(NAME unit-${name} COMMAND unit-${name})
  set_tests_properties(unit-${name} PROPERTIES LABELS unit TIMEOUT 120)
endfunction()

function(bulkhead_model_test name)
  cmake_parse_arguments(arg "" "" "SOURCES;LIBS;ARGS" ${ARGN})
  add_executable(model-${name} ${arg_SOURCES})
  target_link_libraries(model-${name} PRIVATE ${arg_LIBS} bulkhead_sanitize)
  add_test(NAME model-${name} COMMAND model-${name} ${arg_ARGS})
  set_tests_properties(model-${name} PROPERTIES LABELS model TIMEOUT 240)
endfunction()

function(bulkhead_fuzz_test name)
  cmake_parse_arguments(arg "" "" "SOURCES;LIBS" ${ARGN})
  find_program(BULKHEAD_CLANG NAMES clang REQUIRED)
  set(sources ${arg_SOURCES})
  list(TRANSFORM sources PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/ REGEX "^[^/]")
  list(TRANSFORM arg_LIBS PREPEND -l)
  set(program ${CMAKE_CURRENT_BINARY_DIR}/fuzz-${name})
  add_custom_command(OUTPUT ${program}
    COMMAND ${BULKHEAD_CLANG} -std=c17 -D_GNU_SOURCE -g -O1 -fno-omit-frame-pointer
      -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -I${CMAKE_SOURCE_DIR} -I${CMAKE_BINARY_DIR}/generated
      -MD -MF ${program}.d -MT ${program} ${sources} -o ${program} ${arg_LIBS}
    DEPENDS ${sources} DEPFILE ${program}.d
    COMMENT "Building fuzz-${name}"
    VERBATIM)
  add_custom_target(build-fuzz-${name} ALL DEPENDS ${program})
  set(found ${CMAKE_CURRENT_BINARY_DIR}/corpus-${name})
  file(MAKE_DIRECTORY ${found})
  set(seeds ${CMAKE_CURRENT_SOURCE_DIR}/corpus/${name})
  if(NOT EXISTS ${seeds})
    set(seeds)
  endif()
  add_test(NAME fuzz-${name} COMMAND ${program} -max_total_time=${BULKHEAD_FUZZ_SECONDS}
    -timeout=10 -print_final_stats=1 -artifact_prefix=${CMAKE_CURRENT_BINARY_DIR}/ ${found} ${seeds})
  set_tests_properties(fuzz-${name} PROPERTIES LABELS fuzz)
endfunction()
