// The words of a line: what has no space in it, or a JSON text, so that every key and path can be written.
import type { Json } from '../store/values.js'

/** Text that is no command, or one whose words make no sense. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
}

const QUOTED = String.raw`"(?:[^"\\]|\\.)*"`
const WORD = new RegExp(String.raw`^(?:${QUOTED}(?=\s|$)|[^"\s]\S*)`)
const PATH = new RegExp(String.raw`^(?:${QUOTED}(?=[\s,]|$)|[^"\s,][^\s,]*)`)
const LIMIT_MAX = 2 ** 32 - 1

/** Takes a word, as it is written, off the start of a text; undefined when there is none. */
export function takeRaw(text: string, form = WORD): readonly [word: string | undefined, rest: string] {
  const start = text.trimStart()
  if (start === '') return [undefined, '']
  const [word] = form.exec(start) ?? []
  if (word === undefined) throw new CommandError(`what begins with a quote is a JSON text, such as "a b", and a space comes behind it: ${start}`)
  return [word, start.slice(word.length)]
}

/** So many words, the last of which is all that is left, as it is. */
export function split(text: string, count: number): (string | undefined)[] {
  const words: (string | undefined)[] = []
  let rest = text.trim()
  while (words.length < count - 1) {
    const [word, left] = takeRaw(rest)
    words.push(word === undefined ? undefined : unquoted(word))
    rest = left.trimStart()
  }
  words.push(rest === '' ? undefined : rest)
  return words
}

/** All words of a text. */
export function wordsOf(text: string): string[] {
  const words: string[] = []
  for (let [word, rest] = takeRaw(text); word !== undefined; [word, rest] = takeRaw(rest)) words.push(unquoted(word))
  return words
}

/** A key or path that is all of the text: quoted, or as it is. */
export function whole(text: string, what: string): string {
  const word = text.trim()
  if (!word.startsWith('"')) return required(word === '' ? undefined : word, what)
  const [first, rest] = takeRaw(word)
  if (rest.trim() !== '') throw new CommandError(`there is more behind ${first}: ${rest.trim()}`)
  return unquoted(first!)
}

/** Paths with commas between them, and what comes behind. */
export function takePaths(text: string): readonly [paths: string[], rest: string] {
  const paths: string[] = []
  for (let left = text; ;) {
    const [path, rest] = takeRaw(left, PATH)
    paths.push(unquoted(required(path, 'a path')))
    const [comma] = /^\s*,/.exec(rest) ?? []
    if (comma === undefined) return [paths, rest]
    left = rest.slice(comma.length)
  }
}

/** Takes `limit N` off the end. */
export function limited(text: string): { readonly json: string, readonly limit: number | undefined } {
  const found = /(?:^|\s)limit(?:\s+([^\s"{}[\]]+))?\s*$/.exec(text)
  if (found === null) return { json: text, limit: undefined }
  const [, number = 'nothing'] = found
  const limit = /^\d+$/.test(number) ? Number(number) : 0
  if (limit < 1 || limit > LIMIT_MAX) throw new CommandError(`limit takes a whole number from 1, not ${number}`)
  return { json: text.slice(0, found.index), limit }
}

/** @param hint what may be the matter when it is none. */
export function jsonOf(text: string, hint = ''): Json {
  try {
    return JSON.parse(text) as Json
  } catch (error) {
    throw new CommandError(`this is not JSON: ${error instanceof Error ? error.message : String(error)}${hint}`)
  }
}

export function required(word: string | undefined, what: string): string {
  if (word === undefined) throw new CommandError(`${what} is missing`)
  return word
}

/** A word as it is to be written on a line. */
export function quoted(word: string): string {
  return word === '' || /[\s",]/.test(word) ? JSON.stringify(word) : word
}

/** An argument of the command line, where spaces are a word's own, as it is written on a line; what is a JSON text already stays so. */
export function fromArgument(argument: string, kind: string | undefined): string {
  const isWord = kind === 'key' || kind === 'path' || kind === 'index' || kind === 'file'
  return isWord && /\s|^$/.test(argument) && !argument.startsWith('"') ? JSON.stringify(argument) : argument
}

function unquoted(word: string): string {
  return word.startsWith('"') ? jsonOf(word) as string : word
}
