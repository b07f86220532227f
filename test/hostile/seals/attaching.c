/* Senders that attach with memory, or with a userfaultfd, whose seals would be worth nothing: each is to be refused. */
#include "attacker.h"

static void map_at(victim_t *v, unsigned char *address, uint64_t length, int flags, int fd, uint64_t offset) {
  if (mmap(address, length, PROT_READ | PROT_WRITE, flags | MAP_FIXED_NOREPLACE, fd, (off_t)offset) != address) fail("mmap");
  (void)v;
}

static void map_whole(victim_t *v) { map_at(v, v->heap, v->length, MAP_SHARED, v->heap_fd, v->first); }

/* What is not mapped where it should be is written by another address. */
static unsigned char *second;
static void *map_anywhere(victim_t *v) { return mmap(NULL, v->length, PROT_READ | PROT_WRITE, MAP_SHARED, v->heap_fd, (off_t)v->first); }

void map_private(victim_t *v) { map_at(v, v->heap, v->length, MAP_PRIVATE, v->heap_fd, v->first); }

/* Each page shows the next one of the file. */
void map_shifted(victim_t *v) {
  map_at(v, v->heap, v->length, MAP_SHARED, v->heap_fd, v->first + PAGE);
  second = v->heap - PAGE;
}

void map_beside(victim_t *v) {
  map_whole(v);
  second = v->heap + v->length;
  map_at(v, second, v->length, MAP_SHARED, v->heap_fd, v->first);
}

void map_twice(victim_t *v) {
  map_whole(v);
  second = map_anywhere(v);
}

/* The first of the two others, by its address, is harmless: it lies behind the end of the file. */
void map_third(victim_t *v) {
  map_whole(v);
  map_at(v, v->heap + v->length, v->length, MAP_SHARED, v->heap_fd, v->first + v->length);
  second = map_anywhere(v);
}

void map_other_file(victim_t *v) {
  int fd = (int)syscall(SYS_memfd_create, "other", 0);
  if (fd < 0 || ftruncate(fd, (off_t)v->length) != 0) fail("memfd_create");
  map_at(v, v->heap, v->length, MAP_SHARED, fd, 0);
  second = map_anywhere(v);
}

void map_nothing(victim_t *v) {
  map_at(v, v->heap, v->length, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  second = map_anywhere(v);
}

void map_half(victim_t *v) {
  map_at(v, v->heap, v->length / 2, MAP_SHARED, v->heap_fd, v->first);
  map_at(v, v->heap + v->length / 2, v->length / 2, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

/* The page to be sealed shows the one behind it, and the other way round. */
void map_swapped(victim_t *v) {
  uint64_t at = TARGET_PAGE * PAGE, rest = at + 2 * PAGE;
  map_at(v, v->heap, at, MAP_SHARED, v->heap_fd, v->first);
  map_at(v, v->page, PAGE, MAP_SHARED, v->heap_fd, v->first + at + PAGE);
  map_at(v, v->page + PAGE, PAGE, MAP_SHARED, v->heap_fd, v->first + at);
  map_at(v, v->heap + rest, v->length - rest, MAP_SHARED, v->heap_fd, v->first + rest);
  second = v->heap + PAGE;
}

/* Names a range that is longer than its receiver's. */
void claim_more(victim_t *v) {
  map_whole(v);
  map_at(v, v->heap + v->length, PAGE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  v->length += PAGE;
}

/* What would come of it if it were not refused. */
void store_second(victim_t *v) {
  (void)v;
  if (second != NULL && second != MAP_FAILED) try_store(second + TARGET_PAGE * PAGE);
}

int no_userfault(victim_t *v) {
  (void)v;
  return -1;
}

int empty_userfault(victim_t *v) {
  int fds[2];
  (void)v;
  return pipe(fds) == 0 ? fds[0] : -1;
}

/* Who reads from it waits until there is something. */
int blocking_userfault(victim_t *v) {
  int fd = make_userfault(v);
  if (fcntl(fd, F_SETFL, 0) != 0) fail("F_SETFL");
  return fd;
}

/* Set up by its maker, who may have asked for anything. */
int used_userfault(victim_t *v) {
  struct uffdio_api api = {UFFD_API, 0, 0};
  int fd = make_userfault(v);
  if (ioctl(fd, UFFDIO_API, &api) != 0) fail("UFFDIO_API");
  return fd;
}

/* Of a child that has the heap too: it protects the child's pages. */
int childs_userfault(victim_t *v) {
  int fds[2];
  make_userfault(v);
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0) fail("socketpair");
  madvise(v->heap, v->length, MADV_DOFORK);
  pid_t parent = getpid();
  char control[CMSG_SPACE(sizeof(int))] = {0};
  char byte = 1;
  struct iovec one = {&byte, 1};
  struct msghdr message = {.msg_iov = &one, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (fork() == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    int own = make_userfault(v);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &own, sizeof own);
    sendmsg(fds[1], &message, 0);
    for (;;) pause();
  }
  int got = -1;
  if (recvmsg(fds[0], &message, 0) != 1) fail("recvmsg");
  memcpy(&got, CMSG_DATA(header), sizeof got);
  return got;
}
