// Kills a process after a while: for a test whose own thread is waiting.
const [pid, ms] = process.argv.slice(2)
setTimeout(() => process.kill(Number(pid), 'SIGKILL'), Number(ms))
process.on('disconnect', () => process.exit(0))
process.send?.({ id: 0, result: null })
