/*
 * The machine code of the mark for LoongArch64; mark.x86_64.s explains how to read it.
 *
 * Sources: UEFI 2.10, section 2.3.8 and the LoongArch Procedure Call Standard (arguments in a0 to a4, the result in a0;
 * s0 is preserved; sp is a multiple of 16); offsets as for x86-64.
 */

/* a1 points to the system table. On the stack: the size of the data at 16, the data at 24. */
/* 63 80 ff 02 */  addi.d  $sp, $sp, -32
/* 61 00 c0 29 */  st.d    $ra, $sp, 0
/* 77 20 c0 29 */  st.d    $s0, $sp, 8
/* b7 60 c1 28 */  ld.d    $s0, $a1, 0x58          /* RuntimeServices */
/* 0c 04 80 03 */  ori     $t0, $zero, 1
/* 6c 40 c0 29 */  st.d    $t0, $sp, 16
/* 60 60 c0 29 */  st.d    $zero, $sp, 24

/* GetVariable(name, GUID, attributes: not requested, size: 1, data) */
/* 64 03 00 18 */  pcaddi  $a0, %pcrel_20(name)
/* c5 02 00 18 */  pcaddi  $a1, %pcrel_20(guid)
/* 06 00 15 00 */  or      $a2, $zero, $zero
/* 67 40 c0 02 */  addi.d  $a3, $sp, 16
/* 68 60 c0 02 */  addi.d  $a4, $sp, 24
/* ec 22 c1 28 */  ld.d    $t0, $s0, 0x48
/* 81 01 00 4c */  jirl    $ra, $t0, 0

/* SetVariable(name, GUID, attributes, size, data): data + 1; attributes 2 and size 1 if that is below 3, else 0 and 0 */
/* 6c 60 c0 28 */  ld.d    $t0, $sp, 24
/* 8c 05 c0 02 */  addi.d  $t0, $t0, 1
/* 6c 60 c0 29 */  st.d    $t0, $sp, 24
/* 87 0d 40 02 */  sltui   $a3, $t0, 3
/* e6 04 41 00 */  slli.d  $a2, $a3, 1
/* 68 60 c0 02 */  addi.d  $a4, $sp, 24
/* c4 01 00 18 */  pcaddi  $a0, %pcrel_20(name)
/* 25 01 00 18 */  pcaddi  $a1, %pcrel_20(guid)
/* ec 62 c1 28 */  ld.d    $t0, $s0, 0x58
/* 81 01 00 4c */  jirl    $ra, $t0, 0

/* Return EFI_SUCCESS. */
/* 04 00 15 00 */  or      $a0, $zero, $zero
/* 61 00 c0 28 */  ld.d    $ra, $sp, 0
/* 77 20 c0 28 */  ld.d    $s0, $sp, 8
/* 63 80 c0 02 */  addi.d  $sp, $sp, 32
/* 20 00 00 4c */  jirl    $zero, $ra, 0
/* 00 00 40 03 */  .balign 8
guid:
name = guid + 16
