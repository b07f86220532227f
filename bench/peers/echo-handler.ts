import type { CreateHandler } from './peer.js'

/** The handler of trials that make no look-ups: answers what it was asked. */
export const createHandler: CreateHandler = () => (key) => ({ key })

export const ECHO_HANDLER = import.meta.url
