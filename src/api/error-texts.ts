import type { ErrorDetails } from '../core/base/index.ts'

/** What each exit code of the command line means, in the order of the numbers. */
export const exitMeanings: readonly (readonly [number, string])[] = [
  [0, 'done'],
  [1, 'failed'],
  [2, 'wrong usage or configuration'],
  [3, 'the daemon is not reachable'],
  [4, 'not allowed'],
  [5, 'not found'],
  [6, 'took too long'],
  [7, 'the peer is unreachable, or has not confirmed yet'],
  [8, 'cryptographic failure'],
  [9, 'rejected or expired'],
  [10, 'not enough relays'],
  [130, 'interrupted']
]

/** Details that answer with their own name, so that a sentence shows where they stand. */
function namedDetails(lists: boolean): ErrorDetails {
  return new Proxy({}, { get: (_, name) => (lists ? [`‹${String(name)}›`] : `‹${String(name)}›`) })
}

/** The sentence of an error with the names of its details in ‹ ›; a detail that is a list is asked for as one. */
export function errorSentence(text: string | ((details: ErrorDetails) => string)): string {
  if (typeof text === 'string') return text
  try {
    return text(namedDetails(false))
  } catch {
    return text(namedDetails(true))
  }
}
