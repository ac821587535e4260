/* SPDX-License-Identifier: MIT */
/*
 * Starts another kernel in the place of the running one, without firmware and without a reset.
 *
 *   kexec KERNEL INITRD COMMAND_LINE
 *
 * Whatever runs ends at once; on success it does not return (kexec_file_load(2), reboot(2)).
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    int kernel, initrd;

    if (argc != 4) {
        (void)fprintf(stderr, "usage: kexec KERNEL INITRD COMMAND_LINE\n");
        return 2;
    }
    kernel = open(argv[1], O_RDONLY | O_CLOEXEC);
    initrd = open(argv[2], O_RDONLY | O_CLOEXEC);
    if (kernel < 0 || initrd < 0 ||
        syscall(SYS_kexec_file_load, kernel, initrd, strlen(argv[3]) + 1, argv[3], 0UL) != 0) {
        perror("kexec: the next kernel was not loaded");
        return 1;
    }
    (void)reboot(RB_KEXEC);
    perror("kexec: the next kernel was not started");
    return 1;
}
