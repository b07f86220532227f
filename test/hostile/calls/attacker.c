/*
 * A hostile client of another user, at the level of calls: it has the descriptors of a connection and nothing else, has its pages sealed, speaks
 * the ring by hand, and stores to its pages by several threads as fast as it can. Its requests lie now and then.
 *
 *   attacker SOCKET TOKEN ADDRESS LENGTH IMAGE SEED MILLISECONDS
 *
 * Descriptors: 3 the sealable pages, 4 the control region, 5 the doorbell. IMAGE is an object in hexadecimal digits, which lies at the start of
 * each page. Says what it did as a line of JSON.
 */
#include "../seals/attacker.h"

#include <pthread.h>
#include <time.h>

/* The control region: see control-layout.ts. */
enum {
  SLOTS = 16, SERVER_WAITING = 32, FIRST_SLOT = 64, SLOT_WORDS = 16,
  WORD = 0, METHOD = 1, REQUEST = 2, ARGUMENT = 4, SCOPE = 6, USED = 8, SEAL_INDEX = 9, ANSWER = 11,
  HAS_SCOPE = 2, HAS_SEAL = 8, NEXT_SHIFT = 16, NOT_COMPLETE = 21,
};
enum { PREY = 4, METHODS = 3, OPEN = 4, IMAGE_MAX = 2048, BURST = 1 << 16 };

static victim_t victim = {.heap_fd = 3, .userfault = -1, .device = -1, .descriptors_fd = -1};
static volatile uint32_t *ring;
static uint32_t sequence[SLOTS];
static unsigned char image[IMAGE_MAX];
static size_t image_length;
static uint64_t state;
static atomic_ulong stores;
static atomic_int over;

static uint32_t next(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (uint32_t)(state >> 16);
}
static uint32_t below(uint32_t limit) { return next() % limit; }

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1e3 + time.tv_nsec / 1e6;
}

/* Fields only: a damaged head would be noticed at once. A store to a sealed page waits for its release. */
static void *store_all_the_time(void *from) {
  volatile uint32_t *words = (volatile uint32_t *)(victim.heap + (uintptr_t)from * PAGE);
  for (uint32_t i = 0; !atomic_load_explicit(&over, memory_order_relaxed); i++) {
    words[1 + i % (image_length / 4 - 1)] = i;
    if (i % BURST != BURST - 1) continue;
    atomic_fetch_add(&stores, BURST);
    /* Two CPUs are few: its victims must come to their turn. */
    usleep(300);
  }
  return NULL;
}

/* The slot of the request after this one. */
static uint32_t publish(uint32_t slot, uint32_t method, uint32_t flags, uint64_t argument, uint64_t scope, uint32_t used, uint32_t seal) {
  volatile uint32_t *line = ring + FIRST_SLOT + slot * SLOT_WORDS;
  uint32_t after = (slot + 1) % SLOTS;
  line[METHOD] = method;
  line[REQUEST] = flags | after << NEXT_SHIFT;
  line[ARGUMENT] = (uint32_t)argument;
  line[ARGUMENT + 1] = (uint32_t)(argument >> 32);
  line[SCOPE] = (uint32_t)scope;
  line[SCOPE + 1] = (uint32_t)(scope >> 32);
  line[USED] = used;
  line[SEAL_INDEX] = seal;
  line[ANSWER] = 0;
  __atomic_store_n(&line[WORD], sequence[slot], __ATOMIC_SEQ_CST);
  uint32_t asleep = 1;
  if (__atomic_compare_exchange_n(&ring[SERVER_WAITING], &asleep, 0, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) send(5, "\1", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
  return after;
}

/* The status of its answer; -1 when none comes. */
static int answer_of(uint32_t slot, double end) {
  volatile uint32_t *line = ring + FIRST_SLOT + slot * SLOT_WORDS;
  while (__atomic_load_n(&line[WORD], __ATOMIC_ACQUIRE) != sequence[slot] + 1) {
    if (now() > end + 1000) return -1;
    sched_yield();
  }
  sequence[slot] += 2;
  return (int)(line[ANSWER] & 0xff);
}

int main(int argc, char **argv) {
  if (argc != 8) return 2;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  victim.heap = (unsigned char *)(uintptr_t)strtoull(argv[3], NULL, 0);
  victim.length = strtoull(argv[4], NULL, 0);
  image_length = strlen(argv[5]) / 2;
  if (image_length > IMAGE_MAX) return 2;
  for (size_t i = 0; i < image_length; i++) sscanf(argv[5] + 2 * i, "%2hhx", &image[i]);
  state = strtoull(argv[6], NULL, 0) | 1;
  ring = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, 4, 0);
  void *heap = mmap(victim.heap, victim.length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, 3, 0);
  if (ring == MAP_FAILED || heap != victim.heap) fail("mmap");
  madvise(heap, victim.length, MADV_DONTFORK);
  madvise(heap, victim.length, 23 /* POPULATE_WRITE */);
  connect_sealer(argv[1]);
  attach(&victim, argv[2], make_userfault(&victim));
  for (int i = 0; i < SLOTS; i++) sequence[i] = 1;
  for (uintptr_t i = 0; i < PREY; i++) {
    memcpy(victim.heap + i * PAGE, image, image_length);
    pthread_t thread;
    if (pthread_create(&thread, NULL, store_all_the_time, (void *)i) != 0) fail("pthread_create");
  }
  printf("attached\n");
  fflush(stdout);
  char line[16];
  if (fgets(line, sizeof line, stdin) == NULL) return 1;
  unsigned long seals = 0, good = 0, errors = 0, early = 0, freed_early = 0, unsealed = 0;
  uint32_t slot = 0;
  int gone = 0;
  for (double end = now() + atof(argv[7]); now() < end && !gone;) {
    uint32_t page = below(PREY), sealed = page;
    if (below(4) == 0) {
      uint32_t here = slot;
      slot = publish(here, OPEN, 0, (uint64_t)(uintptr_t)victim.heap + page * PAGE, 0, 0, 0);
      gone = answer_of(here, end) < 0;
      unsealed++;
    }
    if (request(&victim, SEAL, page, 1, page) != DONE) continue;
    seals++;
    int lies = below(4) == 0;
    if (lies) sealed = below(3) == 0 ? next() : below(16);
    uint64_t at = (uint64_t)(uintptr_t)victim.heap + (lies && below(2) == 0 ? below(8) : page) * PAGE;
    uint32_t used = lies && below(3) == 0 ? next() : (uint32_t)image_length;
    uint32_t here = slot;
    slot = publish(here, 1 + below(METHODS), HAS_SCOPE | (lies && below(4) == 0 ? 0 : HAS_SEAL), at, at, used, sealed);
    /* Before the answer: the receiver has not completed it, unless it has just done so. */
    uint32_t outcome = below(2) == 0 ? request(&victim, RELEASE, 0, 0, page) : 0;
    early += outcome == NOT_COMPLETE;
    freed_early += outcome == DONE;
    int status = answer_of(here, end);
    if (status == 0) good++;
    else errors++;
    gone = status < 0;
    if (outcome == DONE) continue;
    /* One that its lies have completed nobody's seal for stays sealed: a request for no method gives it back. */
    if (request(&victim, RELEASE, 0, 0, page) == DONE) continue;
    here = slot;
    slot = publish(here, 0xffffffff, HAS_SEAL, 0, 0, 0, page);
    gone = answer_of(here, end) < 0;
    request(&victim, RELEASE, 0, 0, page);
  }
  atomic_store(&over, 1);
  printf("{\"seals\":%lu,\"good\":%lu,\"errors\":%lu,\"early\":%lu,\"freedEarly\":%lu,\"unsealed\":%lu,\"stores\":%lu,\"uid\":%u}\n", seals, good, errors, early,
         freed_early, unsealed, atomic_load(&stores), getuid());
  fflush(stdout);
  _exit(0);
}
