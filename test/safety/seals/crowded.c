/*
 * A process that maps descriptor 3 at an address, and much besides: so many mappings of a page each, and so many pages that it looked at once.
 * Arguments: address, length, mappings, pages. Says "ready", and ends when its input does.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  size_t length = strtoull(argv[2], NULL, 10), mappings = strtoull(argv[3], NULL, 10), pages = strtoull(argv[4], NULL, 10);
  void *at = (void *)(uintptr_t)strtoull(argv[1], NULL, 10);
  if (mmap(at, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, 3, 0) != at) return 3;
  char *small = mmap(NULL, (mappings + 1) * 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (small == MAP_FAILED) return 4;
  for (size_t i = 0; i < mappings; i += 2) if (mprotect(small + i * 4096, 4096, PROT_NONE) != 0) return 5;
  volatile char *large = mmap(NULL, (pages + 1) * 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (large == MAP_FAILED) return 6;
  madvise((void *)large, pages * 4096, MADV_NOHUGEPAGE);
  for (size_t i = 0; i < pages; i++) (void)large[i * 4096];
  puts("ready");
  fflush(stdout);
  while (getchar() != EOF) {}
  return 0;
}
