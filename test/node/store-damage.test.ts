import assert from 'node:assert/strict'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync
} from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { InboxRow } from '../../src/core/message/index.ts'
import { StoreEngine } from '../../src/node/sqlite/engine.ts'
import { storeError } from '../../src/node/sqlite/errors.ts'
import { openDatabase } from '../../src/node/sqlite/open.ts'
import type { Finding } from '../../src/node/sqlite/stores.ts'
import { openStores, storeFile } from '../../src/node/sqlite/stores.ts'
import { migrate, migrations } from '../../src/node/sqlite/schema.ts'
import { generous, inbound, outboxRow, unread } from './messages.ts'
import { testStores } from './open-stores.ts'
import { temporaryFolder } from './temp.ts'

/** Deterministic numbers below `bound`; SEED replays. */
function numbers(seed: number): (bound: number) => number {
  let state = seed
  return (bound) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * bound)
  }
}
const seed = Number(process.env['SEED'] ?? 1)
const marked = (id: string, sequence: number): ReturnType<typeof inbound> =>
  inbound(id, sequence, { envelope: Buffer.from(`<<${id}>>`.padEnd(600, `${sequence % 10}`)) })

/** A folder with a closed store of 60 messages, or with one whose process died (its log is still there). */
async function filled(context: TestContext, ending: 'closed' | 'killed'): Promise<string> {
  const folder = join(temporaryFolder(context), 'state')
  const stores = await openStores(folder)
  for (let start = 1; start <= 60; start += 3)
    await stores.deliveryStore.admit(
      [0, 1, 2].map((index) => marked(`m${start + index}`, start + index)),
      1,
      generous
    )
  await stores.deliveryStore.enqueue(outboxRow('o1'))
  if (ending === 'closed') {
    await stores.close()
    return folder
  }
  const copy = join(folder, '..', 'killed')
  mkdirSync(copy, { mode: 0o700 })
  for (const name of readdirSync(folder)) copyFileSync(join(folder, name), join(copy, name))
  await stores.close()
  return copy
}

function flip(file: string, bit: number): void {
  const bytes = readFileSync(file)
  bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7))
  writeFileSync(file, bytes)
}

/** Opens a store, in this thread, and reads everything: the ids that are whole, or the code of a named error. */
function outcome(folder: string): { readonly code: string } | { readonly ids: readonly string[]; readonly named: readonly string[] } {
  const file = join(folder, storeFile)
  let engine: StoreEngine | undefined
  try {
    engine = new StoreEngine(openDatabase(file), file)
    const { replies, findings } = engine.run([
      { number: 1, name: 'listInbox', args: unread },
      { number: 2, name: 'recoverOutbox', args: undefined },
      { number: 3, name: 'loadOutbox', args: ['o1'] },
      { number: 4, name: 'inboxCounts', args: undefined }
    ])
    const failed = replies.find((reply) => !reply.ok)
    if (failed !== undefined && !failed.ok) return { code: failed.error.code }
    const rows = idsOf(replies[0]?.ok === true ? replies[0].value : undefined)
    return { ids: rows, named: findings.map(({ id }) => id) }
  } catch (error) {
    return { code: storeError(error, file).code }
  } finally {
    engine?.close()
  }
}

function idsOf(value: unknown): readonly string[] {
  assert.ok(Array.isArray(value))
  return value.map(({ id, envelope }: InboxRow) => {
    assert.ok(Buffer.from(envelope).toString().startsWith(`<<${id}>>`))
    return id
  })
}

test('a row whose body decayed is set aside and named; the others are read, and the sender may send it again', async (t) => {
  const folder = await filled(t, 'closed')
  const file = join(folder, storeFile)
  flip(file, (readFileSync(file).indexOf('<<m30>>') + 100) * 8)
  const found = outcome(folder)
  assert.ok('ids' in found)
  assert.deepEqual([found.ids.length, found.ids.includes('m30'), found.named], [59, false, ['m30']])
  const stores = await openStores(folder)
  t.after(() => stores.close())
  assert.equal((await stores.deliveryStore.inboxCounts()).unread, 59)
  assert.deepEqual(await stores.deliveryStore.admit([marked('m30', 30)], 1, generous), [{ outcome: 'stored', repeat: false, position: 61 }])
})

test('a decayed row of the outbox fails with its own code and is never sent', async (t) => {
  const folder = await filled(t, 'closed')
  const file = join(folder, storeFile)
  flip(file, (readFileSync(file).indexOf('envelope of o1') + 3) * 8)
  const findings: Finding[] = []
  const stores = await openStores(folder, { onFinding: (finding) => findings.push(finding) })
  t.after(() => stores.close())
  assert.deepEqual(await stores.deliveryStore.loadOutbox(['o1']), [])
  assert.deepEqual(
    findings.map(({ where, id }) => [where, id]),
    [['outbox', 'o1']]
  )
  const [entry] = await stores.deliveryStore.listOutbox({ states: ['failed'], destination: undefined, limit: 1 })
  assert.equal(entry?.failure, 'STATE_CORRUPT')
})

test(`one flipped bit anywhere in the database: it is named, and nothing else is lost (SEED=${seed})`, { timeout: 120_000 }, async (t) => {
  const folder = await filled(t, 'closed')
  const file = join(folder, storeFile)
  const whole = readFileSync(file)
  const next = numbers(seed)
  const flips = Number(process.env['FLIPS'] ?? 60)
  const tally = { harmless: 0, named: 0, refused: 0 }
  for (let round = 0; round < flips; round++) {
    const bit = round < 10 ? next(100 * 8) : next(whole.length * 8)
    writeFileSync(file, whole)
    flip(file, bit)
    const found = outcome(folder)
    if ('code' in found) {
      assert.ok(['STATE_CORRUPT', 'STATE_NEWER'].includes(found.code), `bit ${bit}: ${found.code}`)
      tally.refused += 1
    } else {
      assert.ok(
        found.ids.length + found.named.filter((id) => id !== 'o1').length >= 60,
        `bit ${bit}: ${found.ids.length} rows, named ${found.named.join()}`
      )
      if (found.named.length > 0) tally.named += 1
      else tally.harmless += 1
    }
  }
  t.diagnostic(JSON.stringify(tally))
  assert.equal(tally.harmless + tally.named + tally.refused, flips)
})

test(
  `one flipped bit anywhere in the log of a killed process: only the last transaction may be missing, else it is named (SEED=${seed})`,
  { timeout: 120_000 },
  async (t) => {
    const folder = await filled(t, 'killed')
    const [file, log] = [join(folder, storeFile), join(folder, `${storeFile}-wal`)]
    const [wholeFile, wholeLog] = [readFileSync(file), readFileSync(log)]
    assert.ok(wholeLog.length > 50_000)
    const next = numbers(seed + 1)
    const tally = { whole: 0, refused: 0 }
    for (let round = 0; round < Number(process.env['FLIPS'] ?? 60); round++) {
      const bit = round < 10 ? next(32 * 8) : next(wholeLog.length * 8)
      writeFileSync(file, wholeFile)
      writeFileSync(log, wholeLog, { mode: 0o600 })
      flip(log, bit)
      const found = outcome(folder)
      if ('code' in found) {
        assert.equal(found.code, 'STATE_CORRUPT', `bit ${bit}`)
        tally.refused += 1
      } else {
        // The last transaction holds the outbox row; a torn end of the log cannot be told from a flipped bit in it.
        assert.equal(found.ids.length, 60, `bit ${bit}`)
        tally.whole += 1
      }
    }
    t.diagnostic(JSON.stringify(tally))
    assert.ok(tally.refused > 0)
  }
)

test('a truncated database is named, never taken for an empty one', async (t) => {
  const folder = await filled(t, 'closed')
  const file = join(folder, storeFile)
  const whole = readFileSync(file)
  for (const bytes of [0, 1, 100, 511, 512, 4_096, 8_192, whole.length - 4_096]) {
    writeFileSync(file, whole)
    truncateSync(file, bytes)
    const found = outcome(folder)
    assert.deepEqual(found, { code: 'STATE_CORRUPT' }, `${bytes} bytes`)
    assert.equal(statSync(file).size, bytes)
  }
})

test('garbage in the place of the database is STATE_CORRUPT and is left as it is', async (t) => {
  const folder = join(temporaryFolder(t), 'state')
  mkdirSync(folder, { mode: 0o700 })
  writeFileSync(join(folder, storeFile), 'not a database'.repeat(1_000), { mode: 0o600 })
  assert.deepEqual(outcome(folder), { code: 'STATE_CORRUPT' })
  assert.equal(readFileSync(join(folder, storeFile), 'utf8'), 'not a database'.repeat(1_000))
})

test('a database of a newer version is refused and not touched', async (t) => {
  const folder = await filled(t, 'closed')
  const file = join(folder, storeFile)
  const database = new DatabaseSync(file)
  database.exec('PRAGMA user_version = 999; PRAGMA wal_checkpoint(TRUNCATE)')
  database.close()
  const before = readFileSync(file)
  assert.deepEqual(outcome(folder), { code: 'STATE_NEWER' })
  assert.deepEqual(readFileSync(file), before)
})

test('a migration that fails leaves the version that stood', (t) => {
  const database = new DatabaseSync(join(temporaryFolder(t), 'x.db'))
  t.after(() => database.close())
  migrate(database, 'x.db')
  const version = (): unknown => database.prepare('PRAGMA user_version').get()?.['user_version']
  assert.throws(() => migrate(database, 'x.db', [...migrations, 'CREATE TABLE later (a)', 'CREATE TABLE later (a)']), /already exists/)
  assert.equal(version(), migrations.length)
  assert.equal(database.prepare(`SELECT count(*) AS n FROM sqlite_schema WHERE name = 'later'`).get()?.['n'], 0)
  migrate(database, 'x.db', [...migrations, 'CREATE TABLE later (a)'])
  assert.equal(version(), migrations.length + 1)
  assert.throws(() => migrate(database, 'x.db'), { code: 'STATE_NEWER' })
})

test('a second process, or thread, that opens the same store is refused', async (t) => {
  const { folder } = await testStores(t)
  await assert.rejects(openStores(folder), { code: 'STATE_IN_USE' })
})

test('the database and its log are closed to others, and links and open modes in their place are refused', async (t) => {
  const folder = await filled(t, 'killed')
  for (const name of readdirSync(folder)) assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600, name)
  assert.equal(existsSync(join(folder, `${storeFile}-shm`)), false)
  chmodSync(join(folder, storeFile), 0o644)
  assert.deepEqual(outcome(folder), { code: 'PERMISSIONS_UNSAFE' })
  chmodSync(join(folder, storeFile), 0o600)
  chmodSync(folder, 0o755)
  assert.deepEqual(outcome(folder), { code: 'PERMISSIONS_UNSAFE' })
  chmodSync(folder, 0o700)
  const other = join(temporaryFolder(t), 'victim')
  writeFileSync(other, 'x', { mode: 0o600 })
  rmSync(join(folder, `${storeFile}-wal`))
  for (const name of [`${storeFile}-wal`, storeFile]) {
    rmSync(join(folder, name), { force: true })
    for (const target of [other, join(folder, 'nowhere')]) {
      symlinkSync(target, join(folder, name))
      assert.deepEqual(outcome(folder), { code: 'PATH_UNSAFE' }, name)
      rmSync(join(folder, name))
    }
  }
  assert.equal(readFileSync(other, 'utf8'), 'x')
  assert.equal(existsSync(join(folder, 'nowhere')), false)
})

test('a log without its database is named, never played into a new one', async (t) => {
  const folder = await filled(t, 'killed')
  rmSync(join(folder, storeFile))
  assert.deepEqual(outcome(folder), { code: 'STATE_CORRUPT' })
})
