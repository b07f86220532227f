import { runChild } from '../support/child.js'
import { formatNs, formatRatio } from '../support/output.js'
import { measureConnect } from '../trials/call-connect.js'
import { measureCopies } from './copy-costs.js'
import type { OperationGroup } from './group.js'
import { measureSandboxes } from './sandbox-costs.js'
import { measureScopes, SCOPE_OBJECTS } from './scope-costs.js'
import { measureSecureCalls } from './secure-calls.js'

const NONE = ''

/** Isolation by snapshot, sandboxes, copies, and what channels cost. */
export const isolationGroup: OperationGroup = {
  name: 'isolation',
  async measure({ cpus, plan, quick, directory, output }) {
    const cpu = cpus.caller
    const calls = await runChild(measureSecureCalls, { cpus, plan }, { label: 'the caller of secure calls', cpu })
    const sandboxes = await runChild(measureSandboxes, { plan }, { label: 'sandboxes', cpu })
    const scopes = await runChild(measureScopes, { plan }, { label: 'scopes', cpu })
    const copies = await runChild(measureCopies, { cpus, rounds: quick ? 50 : 500 }, { label: 'copies', cpu })
    const channels = await runChild(measureConnect, { cpus, directory, times: quick ? 20 : 100 }, { label: 'the connecting side', cpu })
    const perSecond = 1e9 / calls.pipelined.mean_ns
    const copyOf = (pages: number): number => copies.find((point) => point.pages === pages)?.copy_ns ?? Number.NaN
    output.table('Operations, beside the paper\'s (far memory, bare metal; in brackets its later version)', ['', 'ours', 'paper'], [
      ['secure call of a rewritten page: copied, sandboxed', formatNs(calls.page.mean_ns), '2.6 µs (1.5 µs)'],
      ['the same without isolation, the handler copying', formatNs(calls.openPage.mean_ns), NONE],
      ['secure call of a struct of three fields', formatNs(calls.small.mean_ns), NONE],
      ['the same without isolation', formatNs(calls.openSmall.mean_ns), '1.5 µs (0.5 µs)'],
      ['secure calls of the struct, pipelined, per second', Math.round(perSecond), '377,790'],
      ['one cache line between two C processes', formatNs(calls.limit.mean_ns), NONE],
      ['sandbox, 1 page', formatNs(sandboxes.one.mean_ns), '350 ns (73-89 ns)'],
      ['sandbox, 1024 pages', formatNs(sandboxes.large.mean_ns), '350 ns (73-89 ns)'],
      ['8 sandboxes in turn, each', formatNs(sandboxes.eight.mean_ns), '470 ns'],
      ['wasm sandbox, kept mapped, 8 in turn', formatNs(sandboxes.wasmCached.mean_ns), '350 ns'],
      ['wasm sandbox, 32 in turn, none kept: copied', formatNs(sandboxes.wasmUncached.mean_ns), '25.57 µs (600 ns)'],
      ['the same with 17 pages each: mapped', formatNs(sandboxes.wasmMapped.mean_ns), '25.57 µs (600 ns)'],
      ['copy of 1 page, dirty in the other cache', formatNs(copyOf(1)), '1.26 µs'],
      ['copy of 1024 pages', formatNs(copyOf(1024)), '2,308 µs'],
      ['create a channel', formatNs(channels.channel_create_us * 1e3), '26.5 ms'],
      ['destroy a channel', formatNs(channels.channel_destroy_us * 1e3), '38.4 ms'],
      ['connect', formatNs(channels.connect_us * 1e3), '0.4 s'],
    ])
    output.table('Private copies of pages that another process has just rewritten', ['pages', 'copy', 'each'],
      copies.map(({ pages, copy_ns }) => [String(pages), formatNs(copy_ns), formatNs(copy_ns / pages)]))
    output.table(`Objects of three fields in a small scope, ${SCOPE_OBJECTS} at a time, each`, ['', 'ours', '÷ heap'], [
      ['made in the heap, freed one by one', formatNs(scopes.heap.mean_ns), '1'],
      ['scope created, filled, destroyed', formatNs(scopes.created.mean_ns), formatRatio(scopes.created.mean_ns / scopes.heap.mean_ns)],
      ['scope filled and reset', formatNs(scopes.reset.mean_ns), formatRatio(scopes.reset.mean_ns / scopes.heap.mean_ns)],
    ])
    output.note(`${sandboxes.escapesRefused} attempts to get out of a sandbox were refused; isolation costs a struct's call ` +
      `${formatRatio(calls.small.mean_ns / calls.openSmall.mean_ns)} of its time without`)
    return {
      secure_rtt_ns: calls.page.mean_ns,
      secure_small_rtt_ns: calls.small.mean_ns,
      secure_calls_per_s: perSecond,
      open_rtt_ns: calls.openPage.mean_ns,
      open_small_rtt_ns: calls.openSmall.mean_ns,
      secure_limit_ns: calls.limit.mean_ns,
      sandbox_cached_ns: sandboxes.one.mean_ns,
      sandbox_cached_1024_pages_ns: sandboxes.large.mean_ns,
      sandbox_8_ns: sandboxes.eight.mean_ns,
      sandbox_wasm_cached_ns: sandboxes.wasmCached.mean_ns,
      sandbox_uncached_ns: sandboxes.wasmUncached.mean_ns,
      sandbox_uncached_mapped_ns: sandboxes.wasmMapped.mean_ns,
      sandbox_escapes_refused: sandboxes.escapesRefused,
      scope_created_over_heap: scopes.created.mean_ns / scopes.heap.mean_ns,
      scope_reset_over_heap: scopes.reset.mean_ns / scopes.heap.mean_ns,
      scope_object_ns: scopes.created.mean_ns,
      memcpy_page_ns: copyOf(1),
      memcpy_1024_pages_ns: copyOf(1024),
      copy_curve: copies,
      channel_create_us: channels.channel_create_us,
      channel_destroy_us: channels.channel_destroy_us,
      connect_us: channels.connect_us,
    }
  },
}
