import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DatabaseSync } from 'node:sqlite'
import { join } from 'node:path'
import { StoreEngine } from '../../src/node/sqlite/engine.ts'
import { openDatabase } from '../../src/node/sqlite/open.ts'
import type { StoreReply } from '../../src/node/sqlite/calls.ts'
import { generous, inbound, outboxRow, unread } from './messages.ts'
import { temporaryFolder } from './temp.ts'

/** A database whose COMMIT fails when it is told to, as SQLite's own does. */
class FailingDatabase {
  failNext: { readonly code: number; readonly text: string } | undefined
  readonly real: DatabaseSync

  constructor(real: DatabaseSync) {
    this.real = real
    const exec = real.exec.bind(real)
    real.exec = (sql: string): void => {
      const failure = this.failNext
      if (sql !== 'COMMIT' || failure === undefined) return exec(sql)
      this.failNext = undefined
      throw Object.assign(new Error(failure.text), { code: 'ERR_SQLITE_ERROR', errcode: failure.code, errstr: failure.text })
    }
  }
}

const ioErrorOfFsync = { code: 1_034, text: 'disk I/O error' }
const full = { code: 13, text: 'database or disk is full' }
const codes = (replies: readonly StoreReply[]): readonly string[] => replies.map((reply) => (reply.ok ? 'ok' : reply.error.code))

test('after a COMMIT that failed with an I/O error nothing is confirmed any more, and reading ends too', (t) => {
  const file = join(temporaryFolder(t), 'state', 'x.db')
  const database = new FailingDatabase(openDatabase(file))
  const engine = new StoreEngine(database.real, file)
  database.failNext = ioErrorOfFsync
  const first = engine.run([
    { number: 1, name: 'enqueue', args: outboxRow('m1') },
    { number: 2, name: 'admit', args: { messages: [inbound('m1', 1)], floor: 1, limits: generous } }
  ])
  assert.deepEqual(codes(first.replies), ['STORE_FAILED', 'STORE_FAILED'])
  assert.equal(engine.failure?.code, 'STORE_FAILED')
  const later = engine.run([{ number: 3, name: 'listInbox', args: unread }])
  assert.deepEqual(codes(later.replies), ['STORE_FAILED'])
  assert.deepEqual(codes(engine.run([{ number: 4, name: 'enqueue', args: outboxRow('m2') }]).replies), ['STORE_FAILED'])
  engine.close()
})

test('a full disk fails each change for itself, leaves the store as it was, and the next one succeeds', (t) => {
  const file = join(temporaryFolder(t), 'state', 'x.db')
  const database = new FailingDatabase(openDatabase(file))
  const engine = new StoreEngine(database.real, file)
  t.after(() => engine.close())
  database.failNext = full
  assert.deepEqual(codes(engine.run([{ number: 1, name: 'enqueue', args: outboxRow('m1') }]).replies), ['DISK_FULL'])
  assert.equal(engine.failure, undefined)
  const { replies } = engine.run([{ number: 2, name: 'enqueue', args: outboxRow('m1') }])
  assert.deepEqual(replies, [{ number: 2, ok: true, value: { outcome: 'accepted' } }])
})
