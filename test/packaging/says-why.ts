/** Whether an error is a sentence of ours that names the library and the other copy, not some failure deep inside. */
export function saysWhy(error: string | undefined): boolean {
  return /rpcool/i.test(error ?? '') && /another|already|two|cop(y|ies)|version/i.test(error ?? '')
}
