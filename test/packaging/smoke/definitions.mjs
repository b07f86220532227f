// The service of the smoke test, for either form of the library.
export function definitions({ method, service, struct, text, u32 }) {
  const Pair = struct('Pair', { left: u32, right: text })
  const Echo = service('echo', {
    hello: method(1, text, text),
    swap: method(2, Pair, Pair),
    never: method(3, text, text),
  })
  const handlers = {
    hello: (name) => `hello ${name}`,
    swap: ({ left, right }) => ({ left: left + 1, right: `${right} ${right}` }),
    never: () => new Promise(() => {}),
  }
  return { Echo, handlers }
}
