/*
 * Sends sockets that linger: who closes the last descriptor of one waits until its peer, which never reads, has read everything. Arguments: the
 * service's socket, the protocol's version, and a message that is understood; the service stands still meanwhile, so that all of it waits in its
 * queues. Says how many it sent, and stays, or nothing would linger.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <signal.h>
#include <unistd.h>

enum { LINGER_SECONDS = 60, EACH = 8 };

static int listener = -1;
static struct sockaddr_in address;

/* One whose peer is full. */
static int lingering(void) {
  static char bytes[65536];
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) return -1;
  /* Kept open, and never read. */
  if (accept(listener, NULL, NULL) < 0) return -1;
  while (send(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0);
  struct linger linger = {1, LINGER_SECONDS};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
  return fd;
}

static int send_with(int to, const char *text, int count) {
  char control[CMSG_SPACE(EACH * sizeof(int))] = {0};
  int fds[EACH];
  for (int i = 0; i < count; i++) if ((fds[i] = lingering()) < 0) return 0;
  struct iovec one = {(void *)text, strlen(text)};
  struct msghdr message = {.msg_iov = &one, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_SPACE(count * sizeof(int))};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(count * sizeof(int));
  memcpy(CMSG_DATA(header), fds, count * sizeof(int));
  int sent = sendmsg(to, &message, MSG_NOSIGNAL) > 0 ? count : 0;
  struct linger none = {0, 0};
  for (int i = 0; i < count; i++) {
    if (sent == 0) setsockopt(fds[i], SOL_SOCKET, SO_LINGER, &none, sizeof none);
    /* The receiver's is the last one from now on. */
    close(fds[i]);
  }
  return sent;
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  socklen_t length = sizeof address;
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  listener = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 64) != 0) return 1;
  getsockname(listener, (struct sockaddr *)&address, &length);
  struct sockaddr_un path = {.sun_family = AF_UNIX};
  strncpy(path.sun_path, argv[1], sizeof path.sun_path - 1);
  char hello[64];
  snprintf(hello, sizeof hello, "{\"type\":\"hello\",\"version\":%s}", argv[2]);
  int sent = 0;
  /* Beside what is understood, with a wake-up, and behind what ends the link, when nobody takes it out of the queue any more; there
     also behind empty packets, which look like the end of the stream. */
  const char *texts[] = {argv[3], "x", "{", "{"};
  for (int i = 0; i < 4; i++) {
    int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    if (connect(fd, (struct sockaddr *)&path, sizeof path) != 0 || send(fd, hello, strlen(hello), 0) < 0) return 1;
    for (int j = 0; j < 3; j++) {
      sent += send_with(fd, texts[i], j == 1 ? EACH : 1);
      if (i == 3 && (send(fd, "", 0, 0) < 0 || send(fd, "", 0, 0) < 0)) return 1;
    }
  }
  printf("%d\n", sent);
  fflush(stdout);
  for (;;) pause();
}
