/* The sealer's protocol and the layout of requests and descriptors, spoken by hand. */
#include "attacker.h"

#ifndef SEALER_VERSION
#error "-DSEALER_VERSION=N: the protocol that the sealer speaks, from src/safety/seals/messages.ts"
#endif
#define TEXT(x) #x
#define NUMBER(x) TEXT(x)

enum { ASLEEP = 1, AT_BELL = 2, FDS_MAX = 3, REQUESTS = 16, SENDER_POSTED = 18, SEALER_WAITING = 32, SEALER_DONE = 34, FIRST_REQUEST = 48 };

int sealer = -1;
int bell = -1;
static uint32_t posted;

void fail(const char *what) {
  printf("failed %s: %s\n", what, strerror(errno));
  fflush(stdout);
  _exit(3);
}

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

void connect_sealer(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  sealer = socket(AF_UNIX, SOCK_SEQPACKET, 0);
  if (connect(sealer, (struct sockaddr *)&address, sizeof address) != 0) fail("connect");
  char text[4096];
  int fds[FDS_MAX];
  send_packet("{\"type\":\"hello\",\"version\":" NUMBER(SEALER_VERSION) "}", -1);
  receive_packet(text, sizeof text, fds);
}

int make_userfault(victim_t *v) {
  char text[4096];
  int fds[FDS_MAX] = {-1, -1, -1};
  if (v->device < 0) {
    send_packet("{\"type\":\"device\",\"id\":1}", -1);
    receive_packet(text, sizeof text, fds);
    v->device = fds[0];
  }
  v->userfault = v->device >= 0 ? ioctl(v->device, _IO(0xAA, 0x00), O_CLOEXEC | O_NONBLOCK)
                                : (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | 1);
  if (v->userfault < 0) fail("userfaultfd");
  return v->userfault;
}

void attach(victim_t *v, const char *token, int userfault) {
  char text[4096];
  int fds[FDS_MAX] = {-1, -1, -1};
  snprintf(text, sizeof text,
           "{\"type\":\"attachSender\",\"id\":2,\"token\":\"%s\",\"address\":%llu,\"byteLength\":%llu,\"descriptors\":16,\"requests\":%d}",
           token, (unsigned long long)(uintptr_t)v->heap, (unsigned long long)v->length, REQUESTS);
  send_packet(text, userfault);
  receive_packet(text, sizeof text, fds);
  bell = fds[2];
  v->descriptors_fd = fds[1];
  v->requests = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fds[0], 0);
  v->descriptors = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fds[1], 0);
  if (v->requests == MAP_FAILED || v->descriptors == MAP_FAILED) fail("mmap of what is shared with the sealer");
}

volatile uint32_t *post(victim_t *v, uint32_t code, uint32_t page, uint32_t pages, uint32_t descriptor) {
  volatile uint32_t *one = v->requests + FIRST_REQUEST + posted % REQUESTS * 4;
  one[1] = page;
  one[2] = pages;
  one[3] = descriptor;
  one[0] = code;
  posted++;
  __atomic_store_n(&v->requests[SENDER_POSTED], posted, __ATOMIC_SEQ_CST);
  return one;
}

uint32_t request(victim_t *v, uint32_t code, uint32_t page, uint32_t pages, uint32_t descriptor) {
  volatile uint32_t *words = v->requests, *one = post(v, code, page, pages, descriptor);
  uint32_t waiting = __atomic_load_n(&words[SEALER_WAITING], __ATOMIC_SEQ_CST);
  if (waiting == ASLEEP) send_packet("\1", -1);
  uint64_t ring = 1;
  if (waiting == AT_BELL && write(bell, &ring, sizeof ring) != sizeof ring) fail("write to the bell");
  for (int waited = 0; __atomic_load_n(&words[SEALER_DONE], __ATOMIC_ACQUIRE) != posted; waited++) {
    if (waited > 5000) fail("no answer to a request");
    usleep(1000);
  }
  return one[0];
}
