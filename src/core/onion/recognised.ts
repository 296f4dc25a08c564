import { cellSizes } from './types.ts'

/** Whether the body of a cell, with all of its layers off, begins with 16 zero bytes and so belongs to whoever asks; in constant time (rule O1). */
export function isRecognised(body: Uint8Array): boolean {
  let found = body.length ^ cellSizes.body
  for (let index = 0; index < cellSizes.recognised; index++) found |= body[index] ?? 1
  return found === 0
}
