/*
 * A file system whose files' reads wait: it shows what the kernel has in hand when a page is sealed. A read of "slowNUMBER" is answered when
 * somebody looks for "goNUMBER". Arguments: the folder to mount at. Says "mounted"; ends when its input does.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* The first file's node; the others follow by their numbers. */
enum { FILE_NODE = 2, FILE_BYTES = 4096, WAITING_MAX = 64 };

static int fuse;
static struct { uint64_t unique, node; } waiting[WAITING_MAX];
static int waiting_count;

static void answer(uint64_t unique, int error, const void *body, size_t length) {
  struct fuse_out_header header = {(uint32_t)(sizeof header + length), -error, unique};
  struct iovec parts[2] = {{&header, sizeof header}, {(void *)body, length}};
  if (writev(fuse, parts, length > 0 ? 2 : 1) < 0) errno = 0;
}

static struct fuse_attr attributes(uint64_t node) {
  struct fuse_attr attr = {.ino = node, .nlink = 1, .blksize = 4096, .size = node >= FILE_NODE ? FILE_BYTES : 0};
  attr.mode = node >= FILE_NODE ? S_IFREG | 0666 : S_IFDIR | 0777;
  return attr;
}

static void look_up(uint64_t unique, const char *name) {
  static unsigned char bytes[FILE_BYTES];
  memset(bytes, 0xEE, sizeof bytes);
  int is_go = strncmp(name, "go", 2) == 0;
  uint64_t node = FILE_NODE + strtoull(name + (is_go ? 2 : 4), NULL, 10);
  for (int i = waiting_count - 1; is_go && i >= 0; i--) {
    if (waiting[i].node != node) continue;
    answer(waiting[i].unique, 0, bytes, sizeof bytes);
    waiting[i] = waiting[--waiting_count];
  }
  if (strncmp(name, "slow", 4) != 0) return answer(unique, ENOENT, NULL, 0);
  struct fuse_entry_out entry = {.nodeid = node, .attr = attributes(node)};
  answer(unique, 0, &entry, sizeof entry);
}

static void serve(const struct fuse_in_header *in) {
  switch (in->opcode) {
    case FUSE_INIT: {
      struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 4096};
      return answer(in->unique, 0, &out, sizeof out);
    }
    case FUSE_LOOKUP: return look_up(in->unique, (const char *)(in + 1));
    case FUSE_GETATTR: {
      struct fuse_attr_out out = {.attr = attributes(in->nodeid)};
      return answer(in->unique, 0, &out, sizeof out);
    }
    case FUSE_OPEN: {
      struct fuse_open_out out = {.open_flags = FOPEN_DIRECT_IO};
      return answer(in->unique, 0, &out, sizeof out);
    }
    case FUSE_READ:
      if (waiting_count == WAITING_MAX) return answer(in->unique, EBUSY, NULL, 0);
      waiting[waiting_count].unique = in->unique;
      waiting[waiting_count++].node = in->nodeid;
      return;
    case FUSE_RELEASE: case FUSE_FLUSH: return answer(in->unique, 0, NULL, 0);
    case FUSE_FORGET: case FUSE_BATCH_FORGET: case FUSE_INTERRUPT: return;
    default: return answer(in->unique, ENOSYS, NULL, 0);
  }
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
  char options[128];
  snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fuse);
  if (fuse < 0 || mount("slow", argv[1], "fuse", MS_NOSUID | MS_NODEV, options) != 0) return perror("mount"), 1;
  printf("mounted\n");
  fflush(stdout);
  static _Alignas(8) char buffer[1 << 16];
  struct pollfd both[2] = {{fuse, POLLIN, 0}, {0, POLLIN, 0}};
  while (poll(both, 2, -1) > 0 && both[1].revents == 0) {
    if (both[0].revents != 0 && read(fuse, buffer, sizeof buffer) >= (ssize_t)sizeof(struct fuse_in_header)) serve((struct fuse_in_header *)buffer);
  }
  umount2(argv[1], MNT_DETACH);
  return 0;
}
