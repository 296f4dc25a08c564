import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryDatastore } from 'datastore-core'
import { type Batch, Key } from 'interface-datastore'
import type { MeshError } from '../../src/core/base/index.ts'
import { WriteBehindDatastore } from '../../src/node/write-behind-datastore.ts'

const key = (name: string): Key => new Key(`/peers/${name}`)
const bytes = (value: number): Uint8Array => new Uint8Array([value])

/** Counts what reaches the store behind. */
class Counted extends MemoryDatastore {
  reads = 0
  commits = 0
  fails = false

  override get(...args: Parameters<MemoryDatastore['get']>): ReturnType<MemoryDatastore['get']> {
    this.reads += 1
    return super.get(...args)
  }

  override batch(): Batch {
    const batch = super.batch()
    return {
      put: (...args) => batch.put(...args),
      delete: (...args) => batch.delete(...args),
      commit: async () => {
        if (this.fails) throw new Error('disk full')
        this.commits += 1
        await batch.commit()
      }
    }
  }
}

interface Setup {
  readonly inner: Counted
  readonly store: WriteBehindDatastore
  readonly failures: MeshError[]
  tick(): void
}

function setup(maxEntries = 100): Setup {
  const inner = new Counted()
  const failures: MeshError[] = []
  let due: (() => void) | undefined
  const timers = {
    schedule: (_delayMs: number, run: () => void) => {
      due = run
      return () => {
        due = undefined
      }
    }
  }
  return {
    inner,
    failures,
    store: new WriteBehindDatastore(inner, { timers, maxEntries, onFailure: (error) => failures.push(error) }),
    tick: () => due?.()
  }
}

test('a change is seen at once, and many changes are one commit', async () => {
  const { inner, store, tick } = setup()
  for (let index = 0; index < 50; index++) await store.put(key(`p${index % 10}`), bytes(index))
  assert.deepEqual(await store.get(key('p3')), bytes(43))
  assert.equal(inner.commits, 0)
  tick()
  await store.flush()
  assert.equal(inner.commits, 1)
  assert.deepEqual(await inner.get(key('p3')), bytes(43))
})

test('what was read is not read again, nor is what does not exist', async () => {
  const { inner, store } = setup()
  await inner.put(key('a'), bytes(1))
  for (let index = 0; index < 5; index++) assert.deepEqual(await store.get(key('a')), bytes(1))
  for (let index = 0; index < 5; index++) assert.equal(await store.has(key('missing')), false)
  assert.equal(inner.reads, 2)
  await assert.rejects(Promise.resolve(store.get(key('missing'))), { name: 'NotFoundError' })
})

test('a deleted entry is gone before and after the commit, and a listing sees every change', async () => {
  const { inner, store } = setup()
  await inner.put(key('a'), bytes(1))
  await store.delete(key('a'))
  await store.put(key('b'), bytes(2))
  assert.equal(await store.has(key('a')), false)
  const listed: string[] = []
  for await (const pair of store.query({ prefix: '/peers' })) listed.push(pair.key.toString())
  assert.deepEqual(listed, ['/peers/b'])
  assert.equal(await inner.has(key('a')), false)
})

test('a commit that fails loses nothing: it is reported, and tried again', async () => {
  const { inner, store, failures } = setup()
  inner.fails = true
  await store.put(key('a'), bytes(1))
  await store.flush()
  assert.equal(failures.length, 1)
  inner.fails = false
  await store.flush()
  assert.deepEqual(await inner.get(key('a')), bytes(1))
})

test('memory is bounded, and what is not written is never dropped', async () => {
  const { inner, store } = setup(10)
  for (let index = 0; index < 30; index++) await store.put(key(`p${index}`), bytes(index))
  await store.flush()
  for (let index = 0; index < 30; index++) assert.deepEqual(await inner.get(key(`p${index}`)), bytes(index))
  inner.reads = 0
  await store.get(key('p29'))
  assert.equal(inner.reads, 0)
})
