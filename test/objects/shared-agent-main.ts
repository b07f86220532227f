import { runAgent } from './shared-agent.js'

const [heapFd, tableFd, member, address] = process.argv.slice(2).map(Number) as [number, number, number, number]
process.stdout.write('ready\n')
process.stdout.write(`done ${runAgent(heapFd, tableFd, member, address)}\n`)
