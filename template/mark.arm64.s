/*
 * The machine code of the mark for ARM64; mark.x86_64.s explains how to read it.
 *
 * Sources: UEFI 2.10, section 2.3.6 and the Procedure Call Standard for the Arm 64-bit Architecture, 2024Q3 (arguments
 * in x0 to x4, the result in x0; x19 is preserved; sp is a multiple of 16); offsets as for x86-64.
 */

/* x1 points to the system table. On the stack: the size of the data at 32, the data at 40. */
/* fd 7b bd a9 */  stp     x29, x30, [sp, #-48]!
/* f3 0b 00 f9 */  str     x19, [sp, #16]
/* 33 2c 40 f9 */  ldr     x19, [x1, #0x58]        /* RuntimeServices */
/* 28 00 80 d2 */  mov     x8, #1
/* e8 7f 02 a9 */  stp     x8, xzr, [sp, #32]

/* GetVariable(name, GUID, attributes: not requested, size: 1, data) */
/* 40 03 00 10 */  adr     x0, name
/* a1 02 00 10 */  adr     x1, guid
/* 02 00 80 d2 */  mov     x2, #0
/* e3 83 00 91 */  add     x3, sp, #32
/* e4 a3 00 91 */  add     x4, sp, #40
/* 68 26 40 f9 */  ldr     x8, [x19, #0x48]
/* 00 01 3f d6 */  blr     x8

/* SetVariable(name, GUID, attributes, size, data): data + 1; attributes 2 and size 1 if that is below 3, else 0 and 0 */
/* e8 17 40 f9 */  ldr     x8, [sp, #40]
/* 08 05 00 91 */  add     x8, x8, #1
/* e8 17 00 f9 */  str     x8, [sp, #40]
/* 1f 0d 00 f1 */  cmp     x8, #3
/* e3 27 9f 9a */  cset    x3, lo
/* 62 78 1f 53 */  lsl     w2, w3, #1
/* e4 a3 00 91 */  add     x4, sp, #40
/* 80 01 00 10 */  adr     x0, name
/* e1 00 00 10 */  adr     x1, guid
/* 68 2e 40 f9 */  ldr     x8, [x19, #0x58]
/* 00 01 3f d6 */  blr     x8

/* Return EFI_SUCCESS. */
/* 00 00 80 d2 */  mov     x0, #0
/* f3 0b 40 f9 */  ldr     x19, [sp, #16]
/* fd 7b c3 a8 */  ldp     x29, x30, [sp], #48
/* c0 03 5f d6 */  ret
guid:
name = guid + 16
