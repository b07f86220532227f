/*
 * A sender that lies about when it has something to ask for.
 *
 *   ringer HOW SOCKET TOKEN ADDRESS LENGTH MILLISECONDS
 *
 * HOW: "bell", rings its bell all the time; "full bell", makes it ring as often as it can at once, too; "socket", sends wake-ups over the
 * socket; "silent", asks, and never rings. Descriptor 3 is the heap. Says "attached", begins when a line comes in, and says how often it did it.
 */
#include "../seals/attacker.h"

#include <time.h>

static victim_t victim = {.heap_fd = 3, .userfault = -1, .device = -1, .descriptors_fd = -1};

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1e3 + time.tv_nsec / 1e6;
}

static int lie(const char *how) {
  uint64_t once = 1, often = UINT64_MAX - 1;
  if (strcmp(how, "bell") == 0) return write(bell, &once, sizeof once) == sizeof once;
  if (strcmp(how, "full bell") == 0) {
    /* Until somebody reads it no further ring goes in: nobody does. */
    return write(bell, &often, sizeof often) == sizeof often || write(bell, &once, sizeof once) == sizeof once;
  }
  if (strcmp(how, "socket") == 0) return send(sealer, "\1", 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1;
  post(&victim, RELEASE, 0, 0, 0);
  usleep(1000);
  return 1;
}

int main(int argc, char **argv) {
  if (argc != 7) return 2;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  victim.heap = (unsigned char *)(uintptr_t)strtoull(argv[4], NULL, 0);
  victim.length = strtoull(argv[5], NULL, 0);
  if (mmap(victim.heap, victim.length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, 3, 0) != victim.heap) fail("mmap");
  madvise(victim.heap, victim.length, 23 /* POPULATE_WRITE */);
  connect_sealer(argv[2]);
  attach(&victim, argv[3], make_userfault(&victim));
  printf("attached\n");
  fflush(stdout);
  char line[16];
  if (fgets(line, sizeof line, stdin) == NULL) return 1;
  unsigned long lies = 0;
  /* With pauses, on a machine of few CPUs: the ringer must not be what takes the CPU from its victims. */
  for (double end = now() + atof(argv[6]); now() < end;) {
    for (int i = 0; i < 20; i++) lies += lie(argv[1]) != 0;
    usleep(50);
  }
  printf("%lu\n", lies);
  fflush(stdout);
  return 0;
}
