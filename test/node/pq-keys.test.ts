import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryDatastore } from 'datastore-core'
import { openPqKeys } from '../../src/node/pq-keys.ts'

const key = (fill: number, length = 32): Uint8Array => new Uint8Array(length).fill(fill)
const noFailure = (error: Error): void => assert.fail(error)

test('the first ML-DSA-65 key of a peer is kept, over restarts, and another one is refused', async () => {
  const datastore = new MemoryDatastore()
  const keys = await openPqKeys(datastore, noFailure)
  assert.ok(keys.accepts(key(1), key(7, 1_952), true))
  assert.ok(keys.accepts(key(1), key(7, 1_952), false))
  assert.ok(!keys.accepts(key(1), key(8, 1_952), true))
  assert.ok(keys.accepts(key(2), key(8, 1_952), false))
  const reopened = await openPqKeys(datastore, noFailure)
  assert.ok(!reopened.accepts(key(1), key(8, 1_952), true))
  assert.ok(reopened.accepts(key(2), key(8, 1_952), true))
})

test('strangers that call with ever new keys do not drive out whom we called, nor what is kept of them in the datastore', async () => {
  const datastore = new MemoryDatastore()
  const keys = await openPqKeys(datastore, noFailure)
  assert.ok(keys.accepts(key(255), key(1, 1_952), true))
  const stranger = (index: number): Uint8Array => new Uint8Array([index >> 8, index & 255, ...key(0, 30)])
  for (let index = 0; index < 4_100; index++) assert.ok(keys.accepts(stranger(index), key(2, 1_952), false))
  assert.ok(!keys.accepts(key(255), key(2, 1_952), false))
  let entries = 0
  for await (const _ of datastore.query({})) entries += 1
  assert.equal(entries, 4_097)
})

test('the key of a peer that is met again and again is not forgotten for those of strangers', async () => {
  const keys = await openPqKeys(new MemoryDatastore(), noFailure)
  const stranger = (index: number): Uint8Array => new Uint8Array([index >> 8, index & 255, ...key(0, 30)])
  assert.ok(keys.accepts(key(255), key(1, 1_952), false))
  for (let index = 0; index < 8_400; index++) {
    assert.ok(keys.accepts(stranger(index), key(2, 1_952), false))
    if (index % 4_000 !== 0) continue
    assert.ok(!keys.accepts(key(255), key(2, 1_952), false))
    assert.ok(keys.accepts(key(255), key(1, 1_952), false))
  }
  assert.ok(!keys.accepts(key(255), key(2, 1_952), false))
})

test('a datastore that fails is reported, and stops nothing', async () => {
  const datastore = new MemoryDatastore()
  const failures: string[] = []
  const keys = await openPqKeys(datastore, ({ code }) => failures.push(code))
  Object.assign(datastore, { put: () => Promise.reject(new Error('full')) })
  assert.ok(keys.accepts(key(1), key(7, 1_952), true))
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(failures, ['INTERNAL'])
  assert.ok(!keys.accepts(key(1), key(8, 1_952), true))
})
