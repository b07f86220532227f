const rpcool = require('rpcool')

void import('./run.mjs').then(({ runFeatures }) => runFeatures(rpcool, process.argv.slice(2)))
