# The sources of hv/core, from the top of the tree: the hypervisor builds them freestanding,
# the tests build the same list for the host.
set(HV_CORE_SOURCES
  hv/core/cpuid.c
  hv/core/crash.c
  hv/core/decode.c
  hv/core/frame.c
  hv/core/guest_walk.c
  hv/core/heap.c
  hv/core/hypercall.c
  hv/core/hypercall_bulkhead.c
  hv/core/hypercall_ipi.c
  hv/core/hypercall_message.c
  hv/core/log.c
  hv/core/msr.c
  hv/core/nested.c
  hv/core/overlay.c
  hv/core/partition.c
  hv/core/pool.c
  hv/core/sched.c
  hv/core/stimer.c
  hv/core/synic.c
  hv/core/text.c
  hv/core/timer.c
  hv/core/vapic.c
  hv/core/vapic_ipi.c
  hv/core/vapic_timer.c
  hv/core/vp.c)
