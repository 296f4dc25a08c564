import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MeshError } from '../../src/core/base/index.ts'
import { WayWatch } from '../../src/mesh/way-watch.ts'

const key = (byte: number): Uint8Array => new Uint8Array(32).fill(byte)
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const tooFew = new MeshError('CIRCUIT_TOO_FEW_RELAYS', { need: 3, have: 1 })

test('a peer to whom no circuit led is told of once, when the directory has changed so that one does', async () => {
  const checked: number[] = []
  const ways: number[] = []
  let answer: Promise<void> = Promise.reject(tooFew)
  answer.catch(() => undefined)
  const watch = new WayWatch({
    check: (publicKey) => {
      checked.push(publicKey[0] ?? 0)
      return answer
    },
    onWay: (publicKey) => ways.push(publicKey[0] ?? 0)
  })
  watch.changed()
  watch.failed(key(1), tooFew)
  watch.failed(key(2), new MeshError('CIRCUIT_BUILD_TIMEOUT', { elapsedMs: 9, attempts: 3, hop: 2 }))
  watch.failed(key(3), new MeshError('CIRCUIT_NO_ENDPOINT', { peer: 'c' }))
  watch.connected(key(3))
  watch.changed()
  await turn()
  assert.deepEqual([checked, ways], [[1], []], 'what failed for another reason, or was reached since, is not looked at')
  const { promise, resolve } = Promise.withResolvers<void>()
  answer = promise
  watch.changed()
  watch.changed()
  resolve()
  await turn()
  watch.changed()
  await turn()
  assert.deepEqual([checked, ways], [[1, 1], [1]], 'one look at a time, and one word')
})
