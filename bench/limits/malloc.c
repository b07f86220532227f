/*
 * glibc malloc/free under random replacement: LIVE blocks of 16..512 bytes, each operation frees a
 * random one and allocates another of random size in its place.
 *
 * The sequence, which support/replacement-sequence.ts repeats exactly:
 *   generator   xorshift32, all arithmetic modulo 2^32, state = seed (not 0):
 *               x ^= x << 13;  x ^= x >> 17;  x ^= x << 5;  the new x is the number drawn
 *   filling     for slot 0 .. LIVE-1:  size = 16 + draw % 497
 *   operation   slot = draw % LIVE;  size = 16 + draw % 497   (two draws, in this order)
 *   checksum    starts at 0; per filled slot and per operation:  sum = sum * 31 + slot + size
 * Slots and sizes of a batch are drawn before its clock starts; the timed loop only reads them.
 * Per operation: free(block in slot), then slot = malloc(size), then with `write` one 4-byte store
 * at the block's start. The warm-up is the first batch of the sequence, and is not reported.
 *
 * Prints {"mean_ns": x} per batch (one free + one malloc), then {"checksum": n} of the sequence.
 */
#include "limit.h"

enum { LIVE = 100000, LEAST_SIZE = 16, SIZES = 497 };

static uint32_t state;
static uint32_t checksum;

static uint32_t draw(void) {
  state ^= state << 13;
  state ^= state >> 17;
  state ^= state << 5;
  return state;
}

static void note(uint32_t slot, uint32_t size) { checksum = checksum * 31 + slot + size; }

static void *blocks[LIVE];

static void *checked_malloc(size_t size) {
  void *block = malloc(size);
  if (block == NULL) fail("malloc");
  return block;
}

static void replace(const uint32_t *slots, const uint16_t *sizes, unsigned long operations) {
  for (unsigned long i = 0; i < operations; i++) {
    free(blocks[slots[i]]);
    blocks[slots[i]] = checked_malloc(sizes[i]);
  }
}

static void replace_and_write(const uint32_t *slots, const uint16_t *sizes,
                              unsigned long operations) {
  for (unsigned long i = 0; i < operations; i++) {
    free(blocks[slots[i]]);
    volatile uint32_t *block = checked_malloc(sizes[i]);
    *block = (uint32_t)i;
    blocks[slots[i]] = (void *)block;
  }
}

int main(int argc, char **argv) {
  if (argc != 6) {
    fprintf(stderr, "usage: malloc CPU SEED OPERATIONS BATCHES plain|write\n");
    return 2;
  }
  end_with_parent();
  pin_to_cpu(parse_number(argv[1], "CPU", 0));
  state = (uint32_t)parse_number(argv[2], "SEED", 1);
  unsigned long operations = parse_number(argv[3], "OPERATIONS", 1);
  unsigned long batches = parse_number(argv[4], "BATCHES", 1);
  int writes = strcmp(argv[5], "write") == 0;
  if (!writes && strcmp(argv[5], "plain") != 0) {
    fprintf(stderr, "the last argument is plain or write, not \"%s\"\n", argv[5]);
    return 2;
  }

  /* The tables come from mmap, so that they take no part in the heap under test. */
  size_t bytes = operations * (sizeof(uint32_t) + sizeof(uint16_t));
  uint32_t *slots = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (slots == MAP_FAILED) fail("mmap");
  uint16_t *sizes = (uint16_t *)(slots + operations);

  for (uint32_t slot = 0; slot < LIVE; slot++) {
    uint32_t size = LEAST_SIZE + draw() % SIZES;
    note(slot, size);
    blocks[slot] = checked_malloc(size);
  }
  for (unsigned long batch = 0; batch <= batches; batch++) {
    for (unsigned long i = 0; i < operations; i++) {
      slots[i] = draw() % LIVE;
      sizes[i] = (uint16_t)(LEAST_SIZE + draw() % SIZES);
      note(slots[i], sizes[i]);
    }
    double start = now_ns();
    if (writes) replace_and_write(slots, sizes, operations);
    else replace(slots, sizes, operations);
    double mean = (now_ns() - start) / (double)operations;
    if (batch > 0) print_batch(mean);
  }
  printf("{\"checksum\":%u}\n", checksum);
  return 0;
}
