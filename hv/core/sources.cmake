# The sources of hv/core, from the top of the tree: the hypervisor builds them freestanding,
# the tests build the same list for the host.
set(HV_CORE_SOURCES
  hv/core/frame.c
  hv/core/heap.c
  hv/core/nested.c
  hv/core/pool.c
  hv/core/sched.c
  hv/core/timer.c)
