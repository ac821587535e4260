# How tests are built and registered with ctest. LABELS is the part of tests/run they belong to.
#
#   bulkhead_unit_test(NAME SOURCES source... [LIBS library...])
#       unit-NAME: a cmocka program with ASan and UBSan.
#   bulkhead_model_test(NAME SOURCES source... [LIBS library...] [ARGS argument...])
#       model-NAME: a program that visits all states of a small system.
include(CMakeParseArguments)

function(bulkhead_unit_test name)
  cmake_parse_arguments(arg "" "" "SOURCES;LIBS" ${ARGN})
  add_executable(unit-${name} ${arg_SOURCES})
  target_link_libraries(unit-${name} PRIVATE ${arg_LIBS} bulkhead_sanitize cmocka)
  add_test(NAME unit-${name} COMMAND unit-${name})
  set_tests_properties(unit-${name} PROPERTIES LABELS unit)
endfunction()

function(bulkhead_model_test name)
  cmake_parse_arguments(arg "" "" "SOURCES;LIBS;ARGS" ${ARGN})
  add_executable(model-${name} ${arg_SOURCES})
  target_link_libraries(model-${name} PRIVATE ${arg_LIBS} bulkhead_sanitize)
  add_test(NAME model-${name} COMMAND model-${name} ${arg_ARGS})
  set_tests_properties(model-${name} PROPERTIES LABELS model)
endfunction()
