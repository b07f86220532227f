/*
 * A hostile sender, written by hand. It attaches like any sender, has a page sealed, and then does one thing from attacks.c to change it
 * all the same; or it attaches in a way in which its seals would be worth nothing.
 *
 *   attacker NAME SOCKET TOKEN ADDRESS LENGTH HEAP_FD
 *
 * HEAP_FD is -1 for a process whose memory a trusted launcher has set up. In the place of SOCKET: "cooperative", for a sender that protects
 * its page itself and writes the descriptor, which lies in the page before its heap; "unprotected" does the second alone, and shows that the
 * attack works. Says "sealed" on stdout when the seal is in force, attacks when a line comes in, and says "done".
 * In the place of both "not here", when this machine does not have what the attack uses.
 */
#include "attacker.h"

#include <pthread.h>

static victim_t victim = {.heap_fd = -1, .userfault = -1, .device = -1, .descriptors_fd = -1};
static const attack_t *chosen;
static pid_t accomplice;
static int accomplice_pipe[2];

void try_store(unsigned char *address) { *(volatile unsigned char *)address = 0xEE; }

void not_here(void) {
  printf("not here\n");
  fflush(stdout);
  for (;;) pause();
}

/* A store that the kernel refuses ends its thread, or the process that has no other. */
static void refused(int signal) {
  (void)signal;
  if (syscall(SYS_gettid) == getpid()) _exit(5);
  syscall(SYS_exit, 0);
}

static void start_accomplice(void) {
  int ready[2];
  char byte;
  if (pipe(accomplice_pipe) != 0 || pipe(ready) != 0) fail("pipe");
  accomplice = fork();
  if (accomplice != 0) {
    /* Once the seals have begun it could map nothing. */
    close(ready[1]);
    if (read(ready[0], &byte, 1) != 1) fail("the accomplice");
    return;
  }
  /* Its parent's end alone: when that is killed the read ends, and with it this process, which holds the test's pipes too. */
  close(accomplice_pipe[1]);
  unsigned char *own = mmap(NULL, victim.length, PROT_READ | PROT_WRITE, MAP_SHARED, victim.heap_fd, (off_t)victim.first);
  if (own == MAP_FAILED || write(ready[1], "x", 1) != 1) _exit(1);
  if (read(accomplice_pipe[0], &byte, 1) == 1) own[TARGET_PAGE * PAGE] = 0xEE;
  _exit(0);
}

static void map_heap(void) {
  if (strcmp(chosen->name, "an accomplice's earlier mapping") == 0) start_accomplice();
  if (chosen->map != NULL) {
    chosen->map(&victim);
  } else {
    void *got = mmap(victim.heap, victim.length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, victim.heap_fd, (off_t)victim.first);
    if (got != victim.heap) fail("mmap");
  }
  madvise(victim.heap, victim.length, MADV_DONTFORK);
  madvise(victim.heap, victim.length, 23 /* POPULATE_WRITE */);
}

static void seal_itself(int protect) {
  volatile uint32_t *one = victim.descriptors + FIRST_DESCRIPTOR;
  if (protect && mprotect(victim.page, PAGE, PROT_READ) != 0) fail("mprotect");
  one[1] = TARGET_PAGE;
  one[2] = 1;
  one[0] = 1;
}

static void seal(const char *socket, const char *token) {
  int cooperative = strcmp(socket, "cooperative") == 0, alone = cooperative || strcmp(socket, "unprotected") == 0;
  if (alone) {
    victim.first = PAGE;
    victim.descriptors = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, victim.heap_fd, 0);
    if (victim.descriptors == MAP_FAILED) fail("mmap of the descriptors");
  }
  if (victim.heap_fd >= 0) map_heap();
  if (!alone) {
    connect_sealer(socket);
    int userfault = -1;
    if (victim.heap_fd >= 0) userfault = chosen->descriptor == NULL ? make_userfault(&victim) : chosen->descriptor(&victim);
    attach(&victim, token, userfault);
  }
  memset(victim.page, 0x11, PAGE);
  if (chosen->before != NULL) chosen->before(&victim);
  if (alone) {
    seal_itself(cooperative);
    return;
  }
  uint32_t outcome = request(&victim, SEAL, TARGET_PAGE, 1, 0);
  if (outcome == DONE) return;
  printf("unsealed %u\n", outcome);
  fflush(stdout);
  _exit(4);
}

static void *attack(void *unused) {
  (void)unused;
  if (chosen->during != NULL) chosen->during(&victim);
  return NULL;
}

int main(int argc, char **argv) {
  if (argc == 6 && strcmp(argv[1], "after exec") == 0) {
    probe_after_exec((unsigned char *)(uintptr_t)strtoull(argv[2], NULL, 0), atoi(argv[3]), strtoull(argv[4], NULL, 0), strtoull(argv[5], NULL, 0));
    return 0;
  }
  if (argc == 5 && strcmp(argv[1], "accomplice") == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    be_accomplice(atoi(argv[2]), (unsigned char *)(uintptr_t)strtoull(argv[3], NULL, 0), atoi(argv[4]));
    return 0;
  }
  if (argc != 7) return 2;
  for (size_t i = 0; i < ATTACK_COUNT; i++) if (strcmp(ATTACKS[i].name, argv[1]) == 0) chosen = &ATTACKS[i];
  if (chosen == NULL) return 2;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  signal(SIGCHLD, SIG_IGN);
  signal(SIGSEGV, refused);
  signal(SIGBUS, refused);
  victim.heap = (unsigned char *)(uintptr_t)strtoull(argv[4], NULL, 0);
  victim.length = strtoull(argv[5], NULL, 0);
  victim.page = victim.heap + TARGET_PAGE * PAGE;
  victim.heap_fd = atoi(argv[6]);
  seal(argv[2], argv[3]);
  printf("sealed\n");
  fflush(stdout);
  char line[16];
  if (fgets(line, sizeof line, stdin) == NULL) return 1;
  if (accomplice > 0 && write(accomplice_pipe[1], "x", 1) != 1) return 1;
  /* In a thread of its own: a store to a sealed page does not return. */
  pthread_t thread;
  if (pthread_create(&thread, NULL, attack, NULL) != 0) fail("pthread_create");
  usleep(250000);
  printf("done\n");
  fflush(stdout);
  /* Until it is killed: what an attack left behind may go on. */
  for (;;) pause();
}
