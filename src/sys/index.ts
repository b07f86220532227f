export { addon, errnoCode, packageRoot } from './addon.js'
export * from './memory.js'
export * from './sockets.js'
export * from './watch.js'
