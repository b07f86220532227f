/** How each command is written, as errors say it. */
export const RUN_USAGE = 'usage: rpcool run [--user NUMBER [--keep-env NAME,…]] [--heap BYTES] [--heaps COUNT] -- COMMAND [ARGUMENT…]'
export const PREPARE_USAGE = 'usage: rpcool prepare-wasm IN.wasm OUT.wasm'
