// Preloaded: the address window as another version of the addon would have reserved it, with a table that this one cannot read.
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define MAGIC 0x6c6f6f6350523131ull

__attribute__((constructor)) static void reserve(void) {
  void* window = mmap((void*)WINDOW_BASE, WINDOW_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
  if (window != (void*)WINDOW_BASE || mprotect(window, 4096, PROT_READ | PROT_WRITE) != 0) {
    perror("the window cannot be reserved");
    exit(1);
  }
  // The magic, the version of the table and the window's length lie here in every version (native/memory.cc).
  *(uint64_t*)window = MAGIC;
  ((uint32_t*)window)[2] = TABLE_VERSION;
  ((uint64_t*)window)[3] = WINDOW_BYTES;
}
