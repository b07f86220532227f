// Runs the features named after the first argument, printing one line of JSON before and one after each.
import { features } from './features.mjs'

const FEATURE_TIMEOUT_MS = 20_000

export async function runFeatures(rpcool, names) {
  for (const name of names) {
    print({ begins: name })
    print({ feature: name, ...(await outcome(features[name](rpcool))) })
  }
  process.exit(0)
}

async function outcome(promise) {
  let timer
  const timeout = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error('no end within the time for one feature')), FEATURE_TIMEOUT_MS)
  })
  try {
    await Promise.race([promise, timeout])
    return { works: true }
  } catch (error) {
    return { works: false, error: String(error?.message ?? error), stack: String(error?.stack) }
  } finally {
    clearTimeout(timer)
  }
}

function print(record) {
  process.stdout.write(`${JSON.stringify(record)}\n`)
}
