import assert from 'node:assert/strict'
import { createHmac, hash } from 'node:crypto'
import { test } from 'node:test'
import { concat, isMeshError, utf8 } from '../../src/core/base/index.ts'
import { argon2id, openChunks, openSeal, sealHeaderBytes } from '../../src/crypto/sealed-file.ts'
import { SeededRandom } from '../../src/testing/seeded-random.ts'

const passphrase = utf8('a passphrase')
const allowed = ['BACKUP_DAMAGED', 'BACKUP_TRUNCATED', 'BACKUP_NEWER', 'PASSPHRASE_WRONG'] as const

/** A header that costs next to nothing to open, so that ten thousand can be tried. */
async function cheapHeader(): Promise<Uint8Array> {
  const head = new Uint8Array(73)
  head.set(utf8('synaptic-sealed\n'))
  head.set([1, 1], 16)
  const view = new DataView(head.buffer)
  for (const [offset, value] of [
    [18, 8],
    [22, 1],
    [26, 1],
    [34, 5]
  ] as const)
    view.setUint32(offset, value)
  const keys = await argon2id({ message: passphrase, nonce: head.subarray(38, 54), cost: { memoryKiB: 8, passes: 1, lanes: 1 }, bytes: 64 })
  return redigested(concat(head, createHmac('sha256', keys.slice(32)).update(head).digest().subarray(0, 16), new Uint8Array(16)))
}

/** With the digest that whoever changes a header would put there. */
function redigested(header: Uint8Array): Uint8Array {
  const bytes = header.slice()
  const end = sealHeaderBytes - 16
  if (bytes.length >= sealHeaderBytes) bytes.set(hash('sha256', bytes.subarray(0, end), 'buffer').subarray(0, 16), end)
  return bytes
}

/** Costs stay small: what a header may ask for is another test. */
function isCheap(header: Uint8Array): boolean {
  if (header.length < 30) return true
  const view = new DataView(header.buffer, header.byteOffset)
  return view.getUint32(18) <= 64 && view.getUint32(22) <= 2
}

test('ten thousand headers and bodies, changed and digested anew, end in an error of ours or open', async () => {
  const seed = Number(process.env['SEED'] ?? 6)
  const random = new SeededRandom(seed)
  const valid = concat(await cheapHeader(), random.bytes(21))
  let refused = 0
  for (let run = 0; run < 10_000; run++) {
    const bytes = valid.slice(0, run % 4 === 0 ? (random.bytes(1)[0] ?? 0) % (valid.length + 1) : valid.length)
    for (const at of random.bytes(1 + (run % 3))) if (bytes.length > 0) bytes[at % bytes.length] = random.bytes(1)[0] ?? 0
    const input = run % 2 === 0 ? bytes : redigested(bytes)
    if (!isCheap(input)) continue
    try {
      const seal = await openSeal(input, 'backup', { passphrase, file: 'a file' })
      for (const piece of openChunks(seal, [input.subarray(sealHeaderBytes)], 'a file')) assert.ok(piece.length <= 65_536)
    } catch (error) {
      assert.ok(
        allowed.some((code) => isMeshError(error, code)),
        `SEED=${seed} run ${run}: ${String(error)}`
      )
      refused += 1
    }
  }
  assert.ok(refused > 5_000, `${refused} refused`)
})
