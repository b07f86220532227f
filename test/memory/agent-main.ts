// A process or worker thread that is one agent: `node agent-main.js HEAP_FD TABLE_FD MEMBER`.
import { isMainThread, parentPort, workerData } from 'node:worker_threads'
import { type AgentOptions, mappingCount, runAgent } from './agent.js'

if (isMainThread) {
  const [heapFd = -1, tableFd = -1, member = 0] = process.argv.slice(2).map(Number)
  process.stdout.write('ready\n')
  const handed = runAgent({ heapFd, tableFd, member })
  if (mappingCount() !== 0) throw new Error('a mapping is left')
  process.stdout.write(`handed ${handed}\n`)
} else {
  parentPort?.postMessage(runAgent(workerData as AgentOptions))
}
