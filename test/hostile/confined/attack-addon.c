/*
 * The native attacks of ../seals, for a program that is otherwise an ordinary client: an addon of Node's. `before(name, page, heap, length)`
 * runs what an attack does before the seal, on the calling thread; `during()` starts what it does while the page is sealed, in a thread of
 * its own, since a store to a sealed page does not return.
 */
#include "../seals/attacker.h"

#include <node_api.h>
#include <pthread.h>

static victim_t victim = {.heap_fd = -1, .userfault = -1, .device = -1, .descriptors_fd = -1};
static const attack_t *chosen;

void try_store(unsigned char *address) { *(volatile unsigned char *)address = 0xEE; }

/* Then the attack fails, as it must: seals.test.ts tells whether it was one. */
void not_here(void) {}

/* A store that the kernel refuses ends its thread, or the process that has no other. */
static void refused(int signal) {
  (void)signal;
  if (syscall(SYS_gettid) == getpid()) _exit(5);
  syscall(SYS_exit, 0);
}

static void *run(void *unused) {
  (void)unused;
  if (chosen->during != NULL) chosen->during(&victim);
  return NULL;
}

static napi_value before(napi_env env, napi_callback_info info) {
  size_t count = 4, length = 0;
  napi_value values[4];
  char name[128];
  double page = 0, heap = 0, bytes = 0;
  napi_get_cb_info(env, info, &count, values, NULL, NULL);
  napi_get_value_string_utf8(env, values[0], name, sizeof name, &length);
  napi_get_value_double(env, values[1], &page);
  napi_get_value_double(env, values[2], &heap);
  napi_get_value_double(env, values[3], &bytes);
  for (size_t i = 0; i < ATTACK_COUNT; i++) if (strcmp(ATTACKS[i].name, name) == 0) chosen = &ATTACKS[i];
  if (chosen == NULL) {
    napi_throw_error(env, NULL, "no such attack");
    return NULL;
  }
  signal(SIGCHLD, SIG_IGN);
  signal(SIGSEGV, refused);
  signal(SIGBUS, refused);
  victim.page = (unsigned char *)(uintptr_t)page;
  victim.heap = (unsigned char *)(uintptr_t)heap;
  victim.length = (uint64_t)bytes;
  if (chosen->before != NULL) chosen->before(&victim);
  return NULL;
}

static napi_value during(napi_env env, napi_callback_info info) {
  (void)info;
  pthread_t thread;
  if (pthread_create(&thread, NULL, run, NULL) != 0) napi_throw_error(env, NULL, "pthread_create");
  return NULL;
}

static napi_value start(napi_env env, napi_value exports) {
  const struct { const char *name; napi_callback call; } all[] = {{"before", before}, {"during", during}};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    napi_value function;
    napi_create_function(env, all[i].name, NAPI_AUTO_LENGTH, all[i].call, NULL, &function);
    napi_set_named_property(env, exports, all[i].name, function);
  }
  return exports;
}

NAPI_MODULE(NODE_GYP_MODULE_NAME, start)
