import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { fromHex, toHex } from '../../../src/core/base/index.ts'
import { cellCommands, nobleCells } from '../../../src/core/onion/index.ts'
import { SeededRandom } from '../../../src/testing/seeded-random.ts'
import { blake2b, relayStep } from './cell-by-the-book.ts'
import { type CellVector, type DirectionVector, cellVectors, replay, vectorFile } from './cell-vectors.ts'

/** Which way the cells of a recorded direction go. */
const kinds = [
  { command: cellCommands.relay, isOwn: true },
  { command: cellCommands.relayEarly, isOwn: false },
  { command: cellCommands.relay, isOwn: false },
  { command: cellCommands.relay, isOwn: true }
]

function recorded(seed: number): DirectionVector {
  const random = new SeededRandom(seed)
  const [keys, chain] = [random.bytes(128), random.bytes(32)]
  const layer = nobleCells.layer({ keys, chain })
  let before = chain
  const cells = kinds.map(({ command, isOwn }, index): CellVector => {
    const plain = random.bytes(1_016)
    if (isOwn) plain.fill(0, 0, 16)
    const body = plain.slice()
    layer[isOwn ? 'originate' : 'encrypt'](command, body)
    const { ivs, mark, chain: after } = relayStep(keys, before, { index, command, body: plain, isOwn })
    before = after
    const recordedCell = { plain, ivs, mark, cell: body, chain: after, tag: layer.tag() }
    return { command, isOwn, ...hexOf(recordedCell) }
  })
  return { keys: toHex(keys), chain: toHex(chain), cells }
}

type Found = Readonly<Record<'plain' | 'ivs' | 'mark' | 'cell' | 'chain' | 'tag', Uint8Array>>
const hexOf = ({ plain, ivs, mark, cell, chain, tag }: Found): Omit<CellVector, 'command' | 'isOwn'> => ({
  plain: toHex(plain),
  ivs: toHex(ivs),
  mark: toHex(mark),
  cell: toHex(cell),
  chain: toHex(chain),
  tag: toHex(tag)
})

// WRITE_VECTORS=1 writes the file anew, which is a change of the wire format.
if (process.env['WRITE_VECTORS'] === '1') writeFileSync(vectorFile, `${JSON.stringify([1, 2].map(recorded), null, 2)}\n`)
const vectors = cellVectors()

test('BLAKE2b of the test itself gives the example of RFC 7693, and a published keyed one', () => {
  // RFC 7693 appendix A has no key, which is another padding: the keyed one is from BLAKE2's own blake2b-kat.txt (empty input, key 00..3f).
  const key = Uint8Array.from({ length: 64 }, (_, index) => index)
  const expected = '10ebb67700b1868efb4417987acf4690ae9d972fb7a590c2f02871799aaa4786b5e996e8f0f4eb981fc214b005f42d2ff4233499391653df7aefcbc13fc51568'
  assert.equal(toHex(blake2b(64, key, new Uint8Array(0))), expected)
})

test('the recorded cells follow from the rule alone, by other implementations of its primitives', () => {
  for (const { keys, chain, cells } of vectors) {
    let before: Uint8Array = fromHex(chain)
    for (const [index, { command, isOwn, plain, ...expected }] of cells.entries()) {
      const step = relayStep(fromHex(keys), before, { index, command, body: fromHex(plain), isOwn })
      const { ivs, mark, chain: after, tag, output: cell } = step
      assert.deepEqual(hexOf({ plain: fromHex(plain), ivs, mark, cell, chain: after, tag }), { plain, ...expected })
      before = after
    }
  }
})

test('noble makes the recorded cells and tags, and takes them back', () => {
  replay(nobleCells, ({ plain, cell, tag }, found) => assert.deepEqual(found, { plain, cell, tag }))
})
