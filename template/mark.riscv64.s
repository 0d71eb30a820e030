/*
 * The machine code of the mark for RISC-V 64, in uncompressed base instructions only; mark.x86_64.s explains how to read
 * it.
 *
 * Sources: UEFI 2.10, section 2.3.7 and the RISC-V ELF psABI 1.0 (arguments in a0 to a4, the result in a0; s0 is
 * preserved; sp is a multiple of 16); offsets as for x86-64.
 */
        .option norelax
        .option norvc

/* a1 points to the system table. On the stack: the size of the data at 16, the data at 24. */
/* 13 01 01 fe             */  addi    sp, sp, -32
/* 23 30 11 00             */  sd      ra, 0(sp)
/* 23 34 81 00             */  sd      s0, 8(sp)
/* 03 b4 85 05             */  ld      s0, 0x58(a1)            /* RuntimeServices */
/* 93 02 10 00             */  li      t0, 1
/* 23 38 51 00             */  sd      t0, 16(sp)
/* 23 3c 01 00             */  sd      zero, 24(sp)

/* GetVariable(name, GUID, attributes: not requested, size: 1, data) */
/* 17 05 00 00 13 05 c5 07 */  lla     a0, name
/* 97 05 00 00 93 85 45 06 */  lla     a1, guid
/* 13 06 00 00             */  li      a2, 0
/* 93 06 01 01             */  addi    a3, sp, 16
/* 13 07 81 01             */  addi    a4, sp, 24
/* 83 32 84 04             */  ld      t0, 0x48(s0)
/* e7 80 02 00             */  jalr    t0

/* SetVariable(name, GUID, attributes, size, data): data + 1; attributes 2 and size 1 if that is below 3, else 0 and 0 */
/* 83 32 81 01             */  ld      t0, 24(sp)
/* 93 82 12 00             */  addi    t0, t0, 1
/* 23 3c 51 00             */  sd      t0, 24(sp)
/* 93 b6 32 00             */  sltiu   a3, t0, 3
/* 13 96 16 00             */  slli    a2, a3, 1
/* 13 07 81 01             */  addi    a4, sp, 24
/* 17 05 00 00 13 05 05 04 */  lla     a0, name
/* 97 05 00 00 93 85 85 02 */  lla     a1, guid
/* 83 32 84 05             */  ld      t0, 0x58(s0)
/* e7 80 02 00             */  jalr    t0

/* Return EFI_SUCCESS. */
/* 13 05 00 00             */  li      a0, 0
/* 83 30 01 00             */  ld      ra, 0(sp)
/* 03 34 81 00             */  ld      s0, 8(sp)
/* 13 01 01 02             */  addi    sp, sp, 32
/* 67 80 00 00             */  ret
/* 13 00 00 00             */  .balign 8
guid:
name = guid + 16
