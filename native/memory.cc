// The address window and the mappings in it.
//
// The window is reserved once per process, PROT_NONE, so that nothing else lands there. Its first bytes hold a table of
// the mappings, at a fixed address, so that every copy of this addon in the process (another version of the package, the
// same file in a worker) shares it:
//
//   window + 0    u64 magic
//   window + 8    u32 version of this table     u32 spin lock (0 free, 1 held)
//   window + 16   u32 number of entries in use  u32 reserved
//   window + 64   entries of 48 bytes: address, length, device, inode, attachments, state
//
// An attachment is one ArrayBuffer of one isolate over a mapping. A mapping that is revoked shows private zero pages; its
// address range returns to the reservation when the last attachment is gone.
#include "arguments.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

namespace {

constexpr uint64_t kMagic = 0x6c6f6f6350523131ull;
constexpr uint32_t kTableVersion = 1;
constexpr uint64_t kTableBytes = 8ull << 20;
constexpr int kJoinAttempts = 100;
constexpr size_t kHolesMax = 64;
constexpr uint32_t kEntriesMax = (kTableBytes - 64) / 48;

enum State : uint32_t { kFree = 0, kMapped = 1, kRevoked = 2 };

struct Entry {
  uint64_t address;
  uint64_t length;
  uint64_t device;
  uint64_t inode;
  uint32_t attachments;
  uint32_t state;
  uint64_t protection;
};

struct Table {
  uint64_t magic;
  uint32_t version;
  uint32_t lock;
  uint32_t used;
  uint32_t reserved;
  uint64_t windowLength;
  uint64_t pad[4];
  Entry entries[];
};
static_assert(sizeof(Entry) == 48 && sizeof(Table) == 64, "the table is shared with other versions of this addon");

Table* table = nullptr;

// The table's lock. Nothing of Node-API within it: what that runs may want the table itself.
class Locked {
 public:
  Locked() {
    while (__atomic_exchange_n(&table->lock, 1, __ATOMIC_ACQUIRE) != 0) sched_yield();
  }
  ~Locked() { __atomic_store_n(&table->lock, 0, __ATOMIC_RELEASE); }
};

void describe(char* out, size_t capacity, uint64_t address, uint64_t length) {
  snprintf(out, capacity, "0x%llx, %llu", static_cast<unsigned long long>(address),
           static_cast<unsigned long long>(length));
}

Entry* find(uint64_t address) {
  for (uint32_t i = 0; i < table->used; i++) {
    Entry& entry = table->entries[i];
    if (entry.state != kFree && entry.address == address) return &entry;
  }
  return nullptr;
}

bool overlaps(uint64_t address, uint64_t length) {
  for (uint32_t i = 0; i < table->used; i++) {
    const Entry& entry = table->entries[i];
    if (entry.state != kFree && address < entry.address + entry.length && entry.address < address + length) return true;
  }
  return false;
}

Entry* freeEntry() {
  for (uint32_t i = 0; i < table->used; i++) {
    if (table->entries[i].state == kFree) return &table->entries[i];
  }
  return table->used < kEntriesMax ? &table->entries[table->used++] : nullptr;
}

void* at(uint64_t address) { return reinterpret_cast<void*>(address); }

// Gives the range back to the reservation. By the same advice they become one: else each left two mappings for ever (max_map_count).
void unmapRange(Entry* entry) {
  void* got = mmap(at(entry->address), entry->length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
  if (got != MAP_FAILED) madvise(got, entry->length, MADV_DONTFORK);
  entry->state = kFree;
}

// Shows private zero pages under every attachment of the process. Late stores land in them and are lost. 0 or the errno;
// `mapped` is whether there was anything to take away.
int zeroRange(uint64_t address, bool* mapped) {
  Locked locked;
  Entry* entry = find(address);
  *mapped = entry != nullptr && entry->state == kMapped;
  if (!*mapped) return 0;
  void* got = mmap(at(entry->address), entry->length, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
  if (got == MAP_FAILED) return errno;
  entry->state = kRevoked;
  return 0;
}

// Freed when both the ArrayBuffer and its holder (the JS handle by which it is unmapped) have gone. Every access is made
// on the thread of the isolate that owns it.
struct Attachment {
  uint64_t address;
  uint64_t length;
  bool released;
  uint8_t references;
};

// V8 counts an external buffer's bytes as memory that a collection would give back, and collects when many are new; but a
// mapping is address space, and goes when it is unmapped. The count is taken back while the buffer exists: after it was
// made and before it goes, so that V8's low-water mark stays where it is. A buffer of more than some 60 MiB still costs one
// collection when it is made.
void discount(napi_env env, uint64_t length, int sign) {
  int64_t ignored;
  napi_adjust_external_memory(env, sign * static_cast<int64_t>(length), &ignored);
}

void dropAttachment(uint64_t address) {
  Locked locked;
  Entry* entry = find(address);
  if (entry != nullptr && entry->attachments > 0 && --entry->attachments == 0) unmapRange(entry);
}

void unreference(Attachment* attachment) {
  if (--attachment->references == 0) free(attachment);
}

// Runs when the ArrayBuffer has gone: collected, detached, or with its worker.
void finalizeBuffer(napi_env env, void*, void* hint) {
  Attachment* attachment = static_cast<Attachment*>(hint);
  if (!attachment->released) {
    discount(env, attachment->length, 1);
    attachment->released = true;
    dropAttachment(attachment->address);
  }
  unreference(attachment);
}

void finalizeHolder(napi_env, void* data, void*) { unreference(static_cast<Attachment*>(data)); }

// Reads what lies at the window's start, which may be unreadable, or nobody's table. False when it is no table.
bool readTable(uint64_t address, Table* copy) {
  iovec local = {copy, sizeof *copy}, remote = {at(address), sizeof *copy};
  return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == static_cast<ssize_t>(sizeof *copy) &&
         copy->magic == kMagic;
}

// Mappings that were there before this addon: a trusted launcher made them, and they can never be taken away. They count as
// attached for ever; the reservation goes around them. `holes` are by address, pairs of address and length, behind the table.
bool reserveAround(uint64_t address, uint64_t length, const uint64_t* holes, size_t count) {
  uint64_t start = address;
  for (size_t i = 0; i <= count; i++) {
    uint64_t end = i < count ? holes[2 * i] : address + length;
    errno = EINVAL;
    if (end < (i == 0 ? start + kTableBytes : start)) return false;
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
    void* got = start == end ? at(start) : mmap(at(start), end - start, PROT_NONE, flags, -1, 0);
    if (got != at(start)) return false;
    if (i < count) start = end + holes[2 * i + 1];
  }
  return true;
}

// reserveWindow(address, length, holes): `holes` are what a launcher mapped there, pairs of 64-bit address and length, by
// address. True when this copy of the addon made the reservation, false when it joined one.
napi_value reserveWindow(napi_env env, napi_callback_info info) {
  Args args(env, info);
  uint64_t address = args.size(0, "address");
  uint64_t length = args.size(1, "length");
  uint8_t* holeBytes;
  size_t holeLength;
  args.bytes(2, "holes", &holeBytes, &holeLength);
  if (!args.ok()) return nullptr;
  uint64_t holes[2 * kHolesMax];
  size_t count = holeLength / (2 * sizeof(uint64_t));
  napi_value out = nullptr;
  napi_get_boolean(env, false, &out);
  if (table != nullptr) return out;
  char where[64];
  describe(where, sizeof where, address, length);
  if (count > kHolesMax) return throwErrno(env, E2BIG, "mmap", where);
  memcpy(holes, holeBytes, count * 2 * sizeof(uint64_t));
  void* got = at(address);
  if (count == 0) {
    got = mmap(at(address), length, PROT_NONE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
  } else if (!reserveAround(address, length, holes, count)) {
    got = MAP_FAILED;
  }
  if (got != MAP_FAILED && got != at(address)) {
    munmap(got, length);
    return throwErrno(env, EEXIST, "mmap", where);
  }
  if (got == MAP_FAILED) {
    if (errno != EEXIST) return throwErrno(env, errno, "mmap", where);
    Table copy;
    bool ours = readTable(address, &copy);
    // Another thread may have reserved it a moment ago and not yet filled in the table.
    for (int attempt = 0; attempt < kJoinAttempts && !ours; attempt++) {
      usleep(1000);
      ours = readTable(address, &copy);
    }
    if (!ours || copy.windowLength != length) return throwErrno(env, EEXIST, "mmap", where);
    if (copy.version != kTableVersion) return throwErrno(env, EPROTOTYPE, "mmap", where);
    table = static_cast<Table*>(at(address));
    return out;
  }
  if (mprotect(got, kTableBytes, PROT_READ | PROT_WRITE) != 0) return throwErrno(env, errno, "mprotect", where);
  madvise(got, length, MADV_DONTFORK);
  Table* fresh = static_cast<Table*>(got);
  fresh->version = kTableVersion;
  fresh->windowLength = length;
  for (size_t i = 0; i < count; i++) {
    fresh->entries[i] = {holes[2 * i], holes[2 * i + 1], 0, 0, 1, kMapped, PROT_READ | PROT_WRITE};
  }
  fresh->used = static_cast<uint32_t>(count);
  __atomic_store_n(&fresh->magic, kMagic, __ATOMIC_RELEASE);
  table = fresh;
  napi_get_boolean(env, true, &out);
  return out;
}

bool fileIdentity(int fd, uint64_t* device, uint64_t* inode, uint64_t* size) {
  struct statx status;
  if (statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_SIZE, &status) != 0) return false;
  *device = makedev(status.stx_dev_major, status.stx_dev_minor);
  *inode = status.stx_ino;
  *size = status.stx_size;
  return true;
}

// Maps, or finds, the file at its address. Called with the table locked; returns an errno. Who only reads may join a writer's
// mapping: isolates of one process trust each other. A reader's own pages are private: a store that slips through stays here.
int enter(int fd, uint64_t address, uint64_t length, bool writable) {
  uint64_t protection = PROT_READ | (writable ? PROT_WRITE : 0);
  uint64_t device = 0, inode = 0, size = length;
  // Without a file only a launcher's mapping can be meant.
  if (fd >= 0 && !fileIdentity(fd, &device, &inode, &size)) return errno;
  if (size < length) return EFBIG;
  Entry* entry = find(address);
  if (entry == nullptr && fd < 0) return ENOENT;
  if (entry != nullptr) {
    bool same = entry->state == kMapped && entry->device == device && entry->inode == inode &&
                entry->length == length && (entry->protection & protection) == protection;
    if (!same) return EEXIST;
    entry->attachments++;
    return 0;
  }
  uint64_t base = reinterpret_cast<uint64_t>(table);
  if (address < base + kTableBytes || address + length > base + table->windowLength) return ERANGE;
  if (overlaps(address, length)) return EEXIST;
  entry = freeEntry();
  if (entry == nullptr) return ENOBUFS;
  void* got = mmap(at(address), length, PROT_READ | PROT_WRITE,
                   (writable ? MAP_SHARED : MAP_PRIVATE) | MAP_FIXED | MAP_NORESERVE, fd, 0);
  if (got == MAP_FAILED) return errno;
  madvise(got, length, MADV_DONTFORK);
  *entry = {address, length, device, inode, 1, kMapped, protection};
  return 0;
}

// mapFile(fd, address, length, writable): [an external ArrayBuffer over the file at that address of the window, its holder].
napi_value mapFile(napi_env env, napi_callback_info info) {
  Args args(env, info);
  int fd = args.int32(0, "fd");
  uint64_t address = args.size(1, "address");
  uint64_t length = args.size(2, "length");
  bool writable = args.boolean(3, "writable");
  if (!args.ok()) return nullptr;
  char where[64];
  describe(where, sizeof where, address, length);
  if (table == nullptr || length == 0) return throwErrno(env, EINVAL, "mmap", where);
  int error;
  {
    Locked locked;
    error = enter(fd, address, length, writable);
  }
  if (error != 0) return throwErrno(env, error, "mmap", where);
  Attachment* attachment = static_cast<Attachment*>(malloc(sizeof(Attachment)));
  *attachment = {address, length, false, 1};
  napi_value pair, buffer, holder;
  napi_status status = napi_create_external_arraybuffer(env, at(address), length, finalizeBuffer, attachment, &buffer);
  if (status != napi_ok) {
    dropAttachment(address);
    free(attachment);
    return throwErrno(env, EOPNOTSUPP, "napi_create_external_arraybuffer", where);
  }
  discount(env, length, -1);
  if (napi_create_external(env, attachment, finalizeHolder, nullptr, &holder) != napi_ok) return nullptr;
  attachment->references++;
  napi_create_array_with_length(env, 2, &pair);
  napi_set_element(env, pair, 0, buffer);
  napi_set_element(env, pair, 1, holder);
  return pair;
}

// unmap(buffer, holder): detaches the ArrayBuffer in this isolate and drops its attachment. False where the runtime cannot
// detach: then the range shows zero pages until the buffer is collected.
napi_value unmap(napi_env env, napi_callback_info info) {
  Args args(env, info);
  void* raw = nullptr;
  if (args.count() < 2 || napi_get_value_external(env, args.value(1), &raw) != napi_ok) {
    return throwErrno(env, EINVAL, "unmap", "holder");
  }
  Attachment* attachment = static_cast<Attachment*>(raw);
  if (attachment->released) return makeUndefined(env);
  discount(env, attachment->length, 1);
  // Before the detaching: Bun and Deno run the buffer's finalizer within it.
  attachment->released = true;
  bool detached = napi_detach_arraybuffer(env, args.value(0)) == napi_ok;
  if (!detached) {
    attachment->released = false;
    discount(env, attachment->length, -1);
  }
  bool mapped;
  if (detached) {
    dropAttachment(attachment->address);
  } else {
    // A runtime that cannot detach: zero pages until the buffer is collected.
    zeroRange(attachment->address, &mapped);
  }
  napi_value out = nullptr;
  napi_get_boolean(env, detached, &out);
  return out;
}

// revoke(address): zero pages under every attachment of the process, at once.
napi_value revoke(napi_env env, napi_callback_info info) {
  Args args(env, info);
  uint64_t address = args.size(0, "address");
  if (!args.ok() || table == nullptr) return nullptr;
  bool mapped;
  int error = zeroRange(address, &mapped);
  if (error != 0) return throwErrno(env, error, "mmap", "zero pages");
  napi_value out = nullptr;
  napi_get_boolean(env, mapped, &out);
  return out;
}

// mappings(): how many ranges of the window are in use in this process.
napi_value mappings(napi_env env, napi_callback_info) {
  if (table == nullptr) return makeNumber(env, 0);
  uint32_t count = 0;
  {
    Locked locked;
    for (uint32_t i = 0; i < table->used; i++) count += table->entries[i].state != kFree;
  }
  return makeNumber(env, count);
}

// advise(address, length, advice): madvise(2) on a range of the window.
napi_value advise(napi_env env, napi_callback_info info) {
  Args args(env, info);
  uint64_t address = args.size(0, "address");
  uint64_t length = args.size(1, "length");
  int advice = args.int32(2, "advice");
  if (!args.ok()) return nullptr;
  uint64_t base = reinterpret_cast<uint64_t>(table);
  char where[64];
  describe(where, sizeof where, address, length);
  if (table == nullptr || address < base + kTableBytes || address + length > base + table->windowLength) {
    return throwErrno(env, ERANGE, "madvise", where);
  }
  if (madvise(at(address), length, advice) != 0) return throwErrno(env, errno, "madvise", where);
  return makeUndefined(env);
}

}  // namespace

void registerMemory(napi_env env, napi_value exports) {
  addFunction(env, exports, "reserveWindow", reserveWindow);
  addFunction(env, exports, "mapFile", mapFile);
  addFunction(env, exports, "unmap", unmap);
  addFunction(env, exports, "revoke", revoke);
  addFunction(env, exports, "mappings", mappings);
  addFunction(env, exports, "advise", advise);
}
