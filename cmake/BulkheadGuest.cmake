# Small kernels of our own that run as guests.
#
#   bulkhead_guest(NAME source...)
#       the file NAME in the current build folder: a freestanding 64-bit program, linked by
#       vsc/guest/guest.lds, in a 32-bit ELF, the only kind with a Multiboot header that QEMU's
#       -kernel takes. NAME.elf, the target, has the symbols.
function(bulkhead_guest name)
  set(layout ${CMAKE_SOURCE_DIR}/vsc/guest/guest.lds)
  add_executable(${name}.elf ${ARGN})
  target_link_libraries(${name}.elf PRIVATE bulkhead_options)
  target_compile_options(${name}.elf PRIVATE
    $<$<COMPILE_LANGUAGE:C>:-std=gnu17>
    -O2 -ffreestanding -fno-builtin -fno-pic -fno-pie -mno-red-zone -mgeneral-regs-only
    -fno-stack-protector -fno-asynchronous-unwind-tables -fcf-protection=none)
  target_link_options(${name}.elf PRIVATE -nostdlib -static -no-pie -Wl,--build-id=none
    -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments -Wl,-T,${layout})
  set_target_properties(${name}.elf PROPERTIES LINK_DEPENDS ${layout})
  add_custom_command(OUTPUT ${name}
    COMMAND ${CMAKE_OBJCOPY} --strip-all -O elf32-i386 $<TARGET_FILE:${name}.elf> ${name}
    DEPENDS ${name}.elf)
endfunction()
