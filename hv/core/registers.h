/* SPDX-License-Identifier: MIT */
/* Bits and numbers of x86 registers that more than one file of the hypervisor names. */
#ifndef HV_CORE_REGISTERS_H
#define HV_CORE_REGISTERS_H

#define CR0_PE (1ull << 0)
#define CR0_ET (1ull << 4)
#define CR0_WP (1ull << 16)
#define CR0_PG (1ull << 31)

#define CR4_PSE     (1ull << 4)
#define CR4_PAE     (1ull << 5)
#define CR4_MCE     (1ull << 6)
#define CR4_LA57    (1ull << 12)
#define CR4_OSXSAVE (1ull << 18)
#define CR4_SMEP    (1ull << 20)
#define CR4_SMAP    (1ull << 21)
#define CR4_PKE     (1ull << 22)

/* All bits that the architecture defines for a guest. */
#define CR0_ALL    0xe005003full
#define CR3_ALL    0x000fffffffffffffull
#define CR4_ALL    0x00ff1fffull
#define RFLAGS_ALL 0x003f7fd7ull

#define RFLAGS_RESERVED 0x2ull
#define RFLAGS_IF       (1ull << 9)

#define EFER_SCE   (1ull << 0)
#define EFER_LME   (1ull << 8)
#define EFER_LMA   (1ull << 10)
#define EFER_NXE   (1ull << 11)
#define EFER_SVME  (1ull << 12)
#define EFER_FFXSR (1ull << 14)

#define MSR_TSC            0x10u
#define MSR_APIC_BASE      0x1bu
#define MSR_TSC_ADJUST     0x3bu
#define MSR_SPEC_CTRL      0x48u
#define MSR_PRED_CMD       0x49u
#define MSR_MTRR_CAP       0xfeu
#define MSR_PAT            0x277u
#define MSR_MTRR_DEF_TYPE  0x2ffu
#define MSR_TSC_DEADLINE   0x6e0u
#define MSR_X2APIC_FIRST   0x800u
#define MSR_X2APIC_LAST    0x8ffu
#define MSR_SYSENTER_CS    0x174u
#define MSR_SYSENTER_ESP   0x175u
#define MSR_SYSENTER_EIP   0x176u
#define MSR_EFER           0xc0000080u
#define MSR_STAR           0xc0000081u
#define MSR_LSTAR          0xc0000082u
#define MSR_CSTAR          0xc0000083u
#define MSR_SFMASK         0xc0000084u
#define MSR_FS_BASE        0xc0000100u
#define MSR_GS_BASE        0xc0000101u
#define MSR_KERNEL_GS_BASE 0xc0000102u
#define MSR_TSC_AUX        0xc0000103u
#define MSR_SYSCFG         0xc0010010u
#define MSR_IORR_FIRST     0xc0010016u
#define MSR_TOP_MEM        0xc001001au
#define MSR_TOP_MEM2       0xc001001du
#define MSR_PATCH_LOADER   0xc0010020u
#define MSR_MMIO_CONFIG    0xc0010058u
#define MSR_SMM_FIRST      0xc0010111u
#define MSR_SMM_LAST       0xc0010113u
#define MSR_VM_CR          0xc0010114u
#define MSR_VM_HSAVE_PA    0xc0010117u

#define APIC_BASE_BSP    (1ull << 8)
#define APIC_BASE_X2APIC (1ull << 10)
#define APIC_BASE_ENABLE (1ull << 11)

#define PAT_RESET_VALUE 0x0007040600070406ull

#define VECTOR_NMI           2
#define VECTOR_UD            6
#define VECTOR_GP            13
#define VECTOR_PF            14
#define VECTOR_MACHINE_CHECK 18

#endif
