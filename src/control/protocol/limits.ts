import { PAGE_BYTES } from '../../base/numbers.js'

// Every limit of the control plane, with its reason. What goes beyond is answered RESOURCE_EXHAUSTED or INVALID_ARGUMENT.

/** Protocol between isolates and the daemon. Raised when an old peer would misread a message. */
export const PROTOCOL_VERSION = 7

/** Bytes of a channel's name: a path of a few readable segments; also fits one file name. */
export const NAME_BYTES_MAX = 255
/** Characters of an opaque text (server info, connect info): fingerprints and paths, not data. Two fit a packet, even escaped sixfold. */
export const INFO_LENGTH_MAX = 8 * 1024
/** Characters of an error's message: a sentence, not a dump. */
export const ERROR_LENGTH_MAX = 2048

/** Participants at one daemon: more isolates than a host has use for, below the usual limit on descriptors (two each). */
export const PARTICIPANTS_MAX = 4096
/** Channels of one participant: a program that registers more has a leak. */
export const CHANNELS_PER_PARTICIPANT_MAX = 1024
/** Connection ends of one participant: its record is rewritten at each change. */
export const CONNECTIONS_PER_PARTICIPANT_MAX = 8192
/** Attempts to connect that a server has not answered yet: each holds two files in the daemon. */
export const PENDING_PER_SERVER_MAX = 256
/** Private heaps of one connection, and shared heaps of one channel: they travel in one message (16 descriptors, a kernel buffer). */
export const HEAPS_PER_OWNER_MAX = 14
/** Prepared heaps of one program: its memory cannot be taken back, and its connections rarely need more at once. */
export const PREPARED_PER_PROGRAM_MAX = 64
/** Heaps and control regions at one daemon. */
export const HEAPS_MAX = 65_536
/** Attachments of one heap. */
export { MEMBER_MAX } from '../../layout/heap-layout.js'

/** The largest heap: a pointer's lower half addresses all of it. */
export const HEAP_BYTES_MAX = 0x1_0000_0000
/** The largest control region: rings of many thousand slots. */
export const CONTROL_BYTES_MAX = 64 * 1024 * 1024
/** Address space of all heaps together: leaves more than half of the 20 TiB window free, so that freed addresses can rest. */
export const TOTAL_BYTES_MAX = 8 * 1024 ** 4
/** Heaps start at multiples of a huge page, so that the kernel may use huge pages for them. */
export const HEAP_ALIGNMENT = 2 * 1024 * 1024
export const HEAP_BYTES_MIN = PAGE_BYTES

/** The longest a client may ask to wait for a server's decision. */
export const TIMEOUT_MS_MAX = 10 * 60 * 1000
/** How long a request waits for its answer when its caller named no time. */
export const DEFAULT_TIMEOUT_MS = 10_000
/** After a restart: how long the other end of a connection may take to come back before it is taken for dead. */
export const CLAIM_GRACE_MS = 5000
/**
 * After a restart: how long what the last daemon gave out is kept for who holds it. Twice the longest pause between attempts to come back
 * (client.ts); meanwhile what the dead held stays taken.
 */
export const EXPECTED_MS = 60_000

/** How long a connected process may take to say hello: it costs descriptors meanwhile. */
export const HELLO_TIMEOUT_MS = 5000
/** What the daemon keeps for a participant that does not read; beyond it the participant is dropped. */
export const OUTBOX_MESSAGES_MAX = 8192
export const OUTBOX_BYTES_MAX = 4 * 1024 * 1024
/** Of those, messages that keep copies of their descriptors: twice as many as are sent in one go (held.ts). */
export const COPIED_MESSAGES_MAX = 512
/** Requests of one isolate that wait for an answer: a program that has more does not look at the answers. */
export const OUTSTANDING_MAX = 4096
/** Packets taken from one socket before others get their turn. */
export const PACKETS_PER_TURN = 64
/** Longest queue of connecting processes in the kernel. */
export const LISTEN_BACKLOG = 512
