/*
 * The machine code of the mark (see mark.py) for x86-64. Each line has the bytes of the instruction, then the
 * instruction. mark.py takes the bytes; a test assembles the instructions and compares. In the program the GUID and the
 * name of the variable follow the code.
 *
 * Sources: UEFI 2.10, sections 2.3.4 (arguments in rcx, rdx, r8, r9 and on the stack, above 32 bytes for the callee;
 * rbx is preserved; rsp is a multiple of 16 at a call), 4.3 (RuntimeServices is at 0x58 in the system table), 4.5
 * (GetVariable is at 0x48, SetVariable at 0x58), 8.2 (both functions).
 */
        .intel_syntax noprefix

/* rdx points to the system table. On the stack: the fifth argument at 32, the size of the data at 40, the data at 48. */
/* 53                   */  push    rbx
/* 48 83 ec 40          */  sub     rsp, 64
/* 48 8b 5a 58          */  mov     rbx, [rdx + 0x58]       /* RuntimeServices */
/* 31 c0                */  xor     eax, eax
/* 48 89 44 24 30       */  mov     [rsp + 48], rax
/* ff c0                */  inc     eax
/* 48 89 44 24 28       */  mov     [rsp + 40], rax

/* GetVariable(name, GUID, attributes: not requested, size: 1, data) */
/* 48 8d 0d 6a 00 00 00 */  lea     rcx, [rip + name]
/* 48 8d 15 53 00 00 00 */  lea     rdx, [rip + guid]
/* 45 31 c0             */  xor     r8d, r8d
/* 4c 8d 4c 24 28       */  lea     r9, [rsp + 40]
/* 48 8d 44 24 30       */  lea     rax, [rsp + 48]
/* 48 89 44 24 20       */  mov     [rsp + 32], rax
/* ff 53 48             */  call    [rbx + 0x48]

/* SetVariable(name, GUID, attributes, size, data). The data is the value that was read, plus 1; if the variable did not
 * exist, the data is still 0 before the addition. For data below 3 the size is 1 and the attributes are 2
 * (EFI_VARIABLE_BOOTSERVICE_ACCESS), which sets the variable. Otherwise both are 0, which deletes it. */
/* 48 ff 44 24 30       */  inc     qword ptr [rsp + 48]
/* 45 31 c9             */  xor     r9d, r9d
/* 48 83 7c 24 30 03    */  cmp     qword ptr [rsp + 48], 3
/* 41 0f 92 c1          */  setb    r9b
/* 47 8d 04 09          */  lea     r8d, [r9 + r9]
/* 48 8d 44 24 30       */  lea     rax, [rsp + 48]
/* 48 89 44 24 20       */  mov     [rsp + 32], rax
/* 48 8d 15 17 00 00 00 */  lea     rdx, [rip + guid]
/* 48 8d 0d 20 00 00 00 */  lea     rcx, [rip + name]
/* ff 53 58             */  call    [rbx + 0x58]

/* Return EFI_SUCCESS in any case, because the script reads the variable to see what happened. */
/* 31 c0                */  xor     eax, eax
/* 48 83 c4 40          */  add     rsp, 64
/* 5b                   */  pop     rbx
/* c3                   */  ret
/* 00 00 00 00 00       */  .balign 8, 0
guid:
name = guid + 16
