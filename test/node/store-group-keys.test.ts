import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredGroupKey } from '../../src/mesh/groups/group-keys.ts'
import { testStores } from './open-stores.ts'

const bytes = (length: number, fill: number): Uint8Array => new Uint8Array(length).fill(fill)
const keyOf = (fill: number, change: Partial<StoredGroupKey> = {}): StoredGroupKey => ({
  tag: bytes(16, fill),
  group: bytes(16, 1),
  epoch: fill,
  members: bytes(32, 2),
  slot: 1_023,
  key: bytes(32, fill),
  maker: bytes(32, 3),
  counter: 0,
  isTold: false,
  ...change
})

test('keys of groups are there again after a restart, in the order in which they came', async (t) => {
  const { stores, reopen } = await testStores(t)
  for (const fill of [9, 4, 7]) await stores.groupKeyStore.saveGroupKey(keyOf(fill))
  await stores.groupKeyStore.dropGroupKeys([bytes(16, 4), bytes(16, 200)])
  const { groupKeyStore } = await reopen()
  assert.deepEqual(await groupKeyStore.groupKeys(), [keyOf(9), keyOf(7)])
})

test('a counter of a group key never falls, and what was told stays told', async (t) => {
  const { stores, reopen } = await testStores(t)
  await stores.groupKeyStore.saveGroupKey(keyOf(9))
  await stores.groupKeyStore.saveGroupKey(keyOf(9, { counter: 512, isTold: true }))
  await stores.groupKeyStore.saveGroupKey(keyOf(9, { counter: 256, isTold: false, key: bytes(32, 77) }))
  const { groupKeyStore } = await reopen()
  assert.deepEqual(await groupKeyStore.groupKeys(), [keyOf(9, { counter: 512, isTold: true })])
})
