import * as rpcool from 'rpcool'
import { runFeatures } from './run.mjs'

await runFeatures(rpcool, process.argv.slice(2))
