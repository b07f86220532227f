// A compiled handler in C: `at` is the argument's place in this module's memory, `base` what is subtracted from native pointers.
typedef unsigned int u32;
typedef unsigned long long u64;

extern void* malloc(unsigned long size);
extern void free(void* block);

struct node {
  u32 header;
  u32 id;
  u64 next;
};

static const struct node* follow(u64 pointer, u32 base) {
  return pointer == 0 ? 0 : (const struct node*)((u32)pointer - base);
}

u32 sum(const struct node* at, u32 base) {
  u32 total = 0;
  for (; at != 0; at = follow(at->next, base)) total += at->id;
  return total;
}

// The ids as bytes: where they lie, and how many.
u64 ids(const struct node* at, u32 base) {
  u32 count = 0;
  for (const struct node* node = at; node != 0; node = follow(node->next, base)) count++;
  unsigned char* bytes = malloc(count);
  if (bytes == 0) __builtin_trap();
  for (u32 i = 0; i < count; i++, at = follow(at->next, base)) bytes[i] = (unsigned char)at->id;
  return ((u64)(u32)bytes << 32) | count;
}

u32 forever(const struct node* at, u32 base) {
  volatile u32 turns = 0;
  for (;;) turns++;
}
