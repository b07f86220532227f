/*
 * A hostile sender, written against the sealer's protocol and layout by hand. It attaches like any sender, has a page sealed, and then
 * does one thing from attacks.c to change it all the same.
 *
 *   attacker NAME SOCKET TOKEN ADDRESS LENGTH HEAP_FD
 *
 * HEAP_FD is -1 for a process whose memory a trusted launcher has set up. Says "sealed" on stdout when the seal is in force, attacks
 * when a line comes in, and says "done".
 */
#include "attacker.h"

#include <pthread.h>

#ifndef SEALER_VERSION
#error "-DSEALER_VERSION=N: the protocol that the sealer speaks, from src/safety/seals/messages.ts"
#endif
#define TEXT(x) #x
#define NUMBER(x) TEXT(x)

enum { ASLEEP = 1, AT_BELL = 2, FDS_MAX = 3, DONE = 16, REQUESTS = 16, SENDER_POSTED = 18, SEALER_WAITING = 32, SEALER_DONE = 34, FIRST_REQUEST = 48 };

static victim_t victim = {.heap_fd = -1, .userfault = -1, .device = -1};
static int sealer;
/* An eventfd that wakes a sealer which waits for it. */
static int bell = -1;
static pid_t accomplice;
static int accomplice_pipe[2];

static void fail(const char *what) {
  printf("failed %s: %s\n", what, strerror(errno));
  fflush(stdout);
  _exit(3);
}

void try_store(unsigned char *address) { *(volatile unsigned char *)address = 0xEE; }

static void send_packet(const char *text, int fd) {
  char control[CMSG_SPACE(sizeof(int))] = {0};
  struct iovec one = {(void *)text, strlen(text)};
  struct msghdr message = {.msg_iov = &one, .msg_iovlen = 1};
  if (fd >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
  }
  if (sendmsg(sealer, &message, 0) < 0) fail("sendmsg");
}

/* The next packet that is no doorbell; descriptors into fds, which has room for FDS_MAX. */
static void receive_packet(char *text, size_t capacity, int *fds) {
  for (;;) {
    char control[CMSG_SPACE(FDS_MAX * sizeof(int))];
    struct iovec one = {text, capacity - 1};
    struct msghdr message = {.msg_iov = &one, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t got = recvmsg(sealer, &message, 0);
    if (got <= 0) fail("recvmsg");
    if (got == 1) continue;
    text[got] = 0;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header != NULL) memcpy(fds, CMSG_DATA(header), header->cmsg_len - CMSG_LEN(0));
    if (strstr(text, "\"error\"") != NULL || strstr(text, "\"goodbye\"") != NULL) {
      printf("refused %s\n", text);
      fflush(stdout);
      _exit(4);
    }
    return;
  }
}

static void connect_sealer(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  sealer = socket(AF_UNIX, SOCK_SEQPACKET, 0);
  if (connect(sealer, (struct sockaddr *)&address, sizeof address) != 0) fail("connect");
  char text[4096];
  int fds[FDS_MAX];
  send_packet("{\"type\":\"hello\",\"version\":" NUMBER(SEALER_VERSION) "}", -1);
  receive_packet(text, sizeof text, fds);
}

static void make_userfault(void) {
  char text[4096];
  int fds[FDS_MAX] = {-1, -1, -1};
  send_packet("{\"type\":\"device\",\"id\":1}", -1);
  receive_packet(text, sizeof text, fds);
  victim.device = fds[0];
  victim.userfault = fds[0] >= 0 ? ioctl(fds[0], _IO(0xAA, 0x00), O_CLOEXEC | O_NONBLOCK)
                                 : (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | 1);
  if (victim.userfault < 0) fail("userfaultfd");
}

static volatile uint32_t *attach(const char *token) {
  char text[4096];
  int fds[FDS_MAX] = {-1, -1, -1};
  snprintf(text, sizeof text,
           "{\"type\":\"attachSender\",\"id\":2,\"token\":\"%s\",\"address\":%llu,\"byteLength\":%llu,\"descriptors\":16,\"requests\":%d}",
           token, (unsigned long long)(uintptr_t)victim.heap, (unsigned long long)victim.length, REQUESTS);
  send_packet(text, victim.userfault);
  receive_packet(text, sizeof text, fds);
  bell = fds[2];
  void *requests = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fds[0], 0);
  if (requests == MAP_FAILED) fail("mmap of the requests");
  /* The descriptors are read-only for a sender: proved by trying. */
  if (mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fds[1], 0) != MAP_FAILED) fail("the descriptors can be mapped writable");
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fds[1]);
  if (getuid() != 0 && open(path, O_RDWR) >= 0) fail("the descriptors can be reopened writable");
  return requests;
}

static void seal_target(volatile uint32_t *requests) {
  volatile uint32_t *one = requests + FIRST_REQUEST;
  one[1] = TARGET_PAGE;
  one[2] = 1;
  one[3] = 0;
  one[0] = 1;
  __atomic_store_n(&requests[SENDER_POSTED], 1, __ATOMIC_SEQ_CST);
  uint32_t waiting = __atomic_load_n(&requests[SEALER_WAITING], __ATOMIC_SEQ_CST);
  if (waiting == ASLEEP) send_packet("\1", -1);
  uint64_t ring = 1;
  if (waiting == AT_BELL && write(bell, &ring, sizeof ring) != sizeof ring) fail("write to the bell");
  for (int waited = 0; __atomic_load_n(&requests[SEALER_DONE], __ATOMIC_ACQUIRE) != 1; waited++) {
    if (waited > 5000) fail("no answer to the seal");
    usleep(1000);
  }
  if (one[0] != DONE) {
    printf("unsealed %u\n", one[0]);
    fflush(stdout);
    _exit(4);
  }
}

static void start_accomplice(void) {
  if (pipe(accomplice_pipe) != 0) fail("pipe");
  accomplice = fork();
  if (accomplice != 0) return;
  /* Its parent's end alone: when that is killed the read ends, and with it this process, which holds the test's pipes too. */
  close(accomplice_pipe[1]);
  char go;
  unsigned char *own = mmap(NULL, victim.length, PROT_READ | PROT_WRITE, MAP_SHARED, victim.heap_fd, 0);
  if (own == MAP_FAILED) _exit(1);
  if (read(accomplice_pipe[0], &go, 1) == 1) own[TARGET_PAGE * PAGE] = 0xEE;
  _exit(0);
}

static const attack_t *chosen;

static void *attack(void *unused) {
  (void)unused;
  if (chosen->during != NULL) chosen->during(&victim);
  return NULL;
}

int main(int argc, char **argv) {
  if (argc != 7) return 2;
  for (size_t i = 0; i < ATTACK_COUNT; i++) if (strcmp(ATTACKS[i].name, argv[1]) == 0) chosen = &ATTACKS[i];
  if (chosen == NULL) return 2;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  signal(SIGCHLD, SIG_IGN);
  victim.heap = (unsigned char *)(uintptr_t)strtoull(argv[4], NULL, 0);
  victim.length = strtoull(argv[5], NULL, 0);
  victim.page = victim.heap + TARGET_PAGE * PAGE;
  victim.heap_fd = atoi(argv[6]);
  if (victim.heap_fd >= 0) {
    if (strcmp(chosen->name, "an accomplice's earlier mapping") == 0) start_accomplice();
    void *got = mmap(victim.heap, victim.length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, victim.heap_fd, 0);
    if (got != victim.heap) fail("mmap");
    madvise(got, victim.length, MADV_DONTFORK);
    madvise(got, victim.length, 23 /* POPULATE_WRITE */);
  }
  connect_sealer(argv[2]);
  if (victim.heap_fd >= 0) make_userfault();
  volatile uint32_t *requests = attach(argv[3]);
  memset(victim.page, 0x11, PAGE);
  if (chosen->before != NULL) chosen->before(&victim);
  seal_target(requests);
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
