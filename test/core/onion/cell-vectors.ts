import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { fromHex, toHex } from '../../../src/core/base/index.ts'
import type { CellCipher, CellCommand, CellLayer } from '../../../src/core/onion/index.ts'

/** Where the recorded cells stand. */
export const vectorFile = new URL('../../vectors/onion-cells-v1.json', import.meta.url)

/** One cell of a direction, all in hexadecimal. */
export interface CellVector {
  readonly command: CellCommand
  /** Whether the relay made it (`originate`), or passes it on (`encrypt`). */
  readonly isOwn: boolean
  readonly plain: string
  readonly ivs: string
  readonly mark: string
  readonly cell: string
  /** After the cell. */
  readonly chain: string
  readonly tag: string
}

/** One direction of one hop. */
export interface DirectionVector {
  readonly keys: string
  readonly chain: string
  readonly cells: readonly CellVector[]
}

/** The recorded cells. */
export const cellVectors = (): readonly DirectionVector[] => JSON.parse(readFileSync(vectorFile, 'utf8')) as readonly DirectionVector[]

/** The layer of a recorded direction, before its first cell. */
const layerOf = (cipher: CellCipher, { keys, chain }: DirectionVector): CellLayer => cipher.layer({ keys: fromHex(keys), chain: fromHex(chain) })

/** Makes every recorded cell as a relay does and takes it back as a client does; calls `check` with each and what came out. */
export function replay(
  cipher: CellCipher,
  check: (cell: CellVector, found: Omit<CellVector, 'command' | 'isOwn' | 'ivs' | 'mark' | 'chain'>) => void
): void {
  for (const direction of cellVectors()) {
    const [relay, client] = [layerOf(cipher, direction), layerOf(cipher, direction)]
    for (const vector of direction.cells) {
      const body = fromHex(vector.plain)
      relay[vector.isOwn ? 'originate' : 'encrypt'](vector.command, body)
      const cell = toHex(body)
      client.decrypt(vector.command, body)
      assert.deepEqual(relay.tag(), client.tag())
      check(vector, { plain: toHex(body), cell, tag: toHex(relay.tag()) })
    }
  }
}
