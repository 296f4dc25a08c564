import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type TestContext, test } from 'node:test'
import { utf8, wallMillis } from '../../src/core/base/index.ts'
import type { ProfilePaths } from '../../src/core/options/index.ts'
import { ensureIdentity, loadIdentity } from '../../src/node/identity.ts'
import { writeBackup } from '../../src/node/keys/backup.ts'
import { type RestoreReport, restoreBackup } from '../../src/node/keys/restore.ts'
import { profilePaths } from '../../src/node/paths.ts'
import { openStores, type Stores } from '../../src/node/sqlite/stores.ts'
import { generous, inbound, instant, keyOf, outboxRow, unread } from './messages.ts'
import { temporaryFolder } from './temp.ts'

const now = Date.UTC(2026, 10, 23)

interface Machine {
  readonly folder: string
  readonly paths: ProfilePaths
  readonly pass: string
}

function machine(t: TestContext): Machine {
  const folder = temporaryFolder(t)
  const dataDir = join(folder, 'data')
  mkdirSync(dataDir, { mode: 0o700 })
  const pass = join(folder, 'pass')
  writeFileSync(pass, 'correct horse battery', { mode: 0o600 })
  return { folder, paths: profilePaths({ profile: 'default', dataDir, environment: {} }), pass }
}

/** A node that has sent and got messages, as its files are when its daemon has stopped. */
async function used(t: TestContext): Promise<Machine & { readonly peerId: string }> {
  const made = machine(t)
  const { paths } = made
  const { identity } = await ensureIdentity(paths.identityFile)
  writeFileSync(paths.configFile, 'name = "one"\n', { mode: 0o600 })
  const stores = await openStores(paths.stateFolder)
  await fill(stores)
  await stores.close()
  writeFileSync(paths.logFile, 'a log\n', { mode: 0o600 })
  writeFileSync(join(paths.stateFolder, 'webhook.key'), 'a small secret', { mode: 0o600 })
  return { ...made, peerId: identity.peerId }
}

async function fill({ deliveryStore, peerStore }: Stores): Promise<void> {
  for (const [index, state] of (['accepted', 'sent', 'held', 'stored', 'failed'] as const).entries()) {
    await deliveryStore.enqueue(outboxRow(state, { sequence: index + 1 }))
    if (state !== 'accepted')
      await deliveryStore.settle([{ id: state, state, attempts: 1, path: 'direct', failure: state === 'failed' ? 'EXPIRED' : '', settledMs: 5 }])
  }
  await deliveryStore.saveRetry({ destination: keyOf('destination'), via: 'direct', attempts: 3, lastAttempt: instant() })
  await deliveryStore.admit([inbound('in-1', 1), inbound('in-2', 2)], 0, generous)
  await deliveryStore.ack([{ source: keyOf('source'), id: 'in-1' }])
  await peerStore.savePair({
    publicKey: keyOf('friend'),
    peerId: 'friend-id',
    name: 'friend',
    alias: '',
    addresses: [],
    pairedAt: wallMillis(now),
    commands: true
  })
}

const backup = ({ paths, folder, pass }: Machine, name = 'backup'): ReturnType<typeof writeBackup> =>
  writeBackup({ paths, target: join(folder, name), passphraseFile: pass, version: '0.0.0', createdAt: now })

const restore = ({ paths, pass }: Machine, source: string, force = false): Promise<RestoreReport> =>
  restoreBackup({ paths, source, passphraseFile: pass, force, now })

async function inStore<T>({ paths }: Machine, work: (stores: Stores) => Promise<T>): Promise<T> {
  const stores = await openStores(paths.stateFolder)
  try {
    return await work(stores)
  } finally {
    await stores.close()
  }
}

test('a backup holds the profile, encrypted, in one private file', async (t) => {
  const one = await used(t)
  const report = await backup(one)
  assert.deepEqual(
    report.files.map(({ name }) => name),
    ['identity.key', 'config.toml', 'mesh.db', 'webhook.key']
  )
  assert.equal(report.peerId, one.peerId)
  assert.equal(statSync(report.file).mode & 0o777, 0o600)
  assert.equal(statSync(report.file).size, report.bytes)
  const bytes = readFileSync(report.file).toString('latin1')
  for (const text of ['ed25519-seed', 'name = "one"', 'SQLite format', 'envelope of', 'a small secret', one.peerId, 'friend'])
    assert.ok(!bytes.includes(text), text)
  assert.deepEqual(
    readdirSync(one.folder).filter((name) => name.includes('.new')),
    []
  )
  assert.ok(!readdirSync(one.paths.stateFolder).some((name) => name.includes('snapshot')))
})

test('what is restored is the same node: identity, pairs, inbox, what was acknowledged, configuration', async (t) => {
  const [one, two] = [await used(t), machine(t)]
  const { file } = await backup(one)
  const report = await restore(two, file)
  assert.equal(report.peerId, one.peerId)
  assert.equal((await loadIdentity(two.paths.identityFile))?.peerId, one.peerId)
  assert.equal(readFileSync(two.paths.configFile, 'utf8'), 'name = "one"\n')
  assert.equal(readFileSync(join(two.paths.stateFolder, 'webhook.key'), 'utf8'), 'a small secret')
  assert.ok(!existsSync(two.paths.logFile))
  for (const name of readdirSync(two.paths.stateFolder)) assert.equal(statSync(join(two.paths.stateFolder, name)).mode & 0o777, 0o600, name)
  assert.equal(statSync(two.paths.stateFolder).mode & 0o777, 0o700)
  await inStore(two, async ({ deliveryStore, peerStore }) => {
    assert.deepEqual(
      (await peerStore.pairs()).map(({ name }) => name),
      ['friend']
    )
    assert.deepEqual(
      (await deliveryStore.listInbox(unread)).map(({ id }) => id),
      ['in-2']
    )
    assert.deepEqual(await deliveryStore.admit([inbound('in-1', 1)], 0, generous), [{ outcome: 'read', repeat: true, position: 1 }])
  })
})

test('a token of the gateway that was revoked after the backup does not come back with it', async (t) => {
  const [one, two] = [await used(t), machine(t)]
  writeFileSync(join(one.paths.stateFolder, 'gateway-tokens.json'), '{"version":1,"tokens":[]}', { mode: 0o600 })
  const { file } = await backup(one)
  assert.equal((await restore(two, file)).hadTokens, true)
  assert.ok(!existsSync(join(two.paths.stateFolder, 'gateway-tokens.json')))
  assert.ok(existsSync(join(two.paths.stateFolder, 'webhook.key')), 'other small files do')
  const [three, four] = [await used(t), machine(t)]
  assert.equal((await restore(four, (await backup(three)).file)).hadTokens, false)
})

test('nothing is sent twice after a restore, and no number of a message is used again', async (t) => {
  const [one, two] = [await used(t), machine(t)]
  const before = await inStore(one, ({ deliveryStore }) => deliveryStore.recoverOutbox())
  const { file } = await backup(one)
  const report = await restore(two, file)
  assert.equal(report.messages, 3)
  await inStore(two, async ({ deliveryStore }) => {
    const after = await deliveryStore.recoverOutbox()
    assert.deepEqual(after.pending, [])
    assert.deepEqual(after.retries, [])
    assert.notDeepEqual(after.epoch, before.epoch)
    assert.deepEqual(after.sequences, [{ destination: keyOf('destination'), sequence: 5 }])
    const rows = await deliveryStore.listOutbox({ states: undefined, destination: undefined, groupMessage: undefined, limit: 10 })
    assert.deepEqual(Object.fromEntries(rows.map(({ id, state }) => [id, state])), {
      accepted: 'expired-unknown',
      sent: 'expired-unknown',
      held: 'expired-unknown',
      stored: 'stored',
      failed: 'failed'
    })
  })
  const again = await inStore(one, ({ deliveryStore }) => deliveryStore.recoverOutbox())
  assert.equal(again.pending.length, 3, 'the node that was backed up goes on as before')
})

test('a profile that holds something is not touched; with force it is kept beside', async (t) => {
  const [one, two] = [await used(t), await used(t)]
  const { file } = await backup(one)
  await assert.rejects(restore(two, file), { code: 'PROFILE_NOT_EMPTY' })
  assert.equal((await loadIdentity(two.paths.identityFile))?.peerId, two.peerId)
  const { kept } = await restore(two, file, true)
  assert.equal((await loadIdentity(two.paths.identityFile))?.peerId, one.peerId)
  assert.equal(kept.length, 2)
  const [folder = '', config = ''] = kept
  assert.equal((await loadIdentity(join(folder, 'identity.key')))?.peerId, two.peerId)
  assert.equal(readFileSync(config, 'utf8'), 'name = "one"\n')
})

test('a wrong passphrase, and a backup that was cut or changed, have names, and leave nothing behind', async (t) => {
  const [one, two] = [await used(t), machine(t)]
  const { file } = await backup(one)
  const whole = readFileSync(file)
  const damage = join(two.folder, 'damaged')
  const fails = async (bytes: Uint8Array, code: string): Promise<void> => {
    writeFileSync(damage, bytes)
    await assert.rejects(restore(two, damage), { code })
    assert.deepEqual(readdirSync(join(two.folder, 'data')), [], code)
  }
  writeFileSync(two.pass, 'another passphrase')
  await fails(whole, 'PASSPHRASE_WRONG')
  writeFileSync(two.pass, 'correct horse battery')
  await fails(whole.subarray(0, whole.length - 1), 'BACKUP_TRUNCATED')
  await fails(whole.subarray(0, 70_000), 'BACKUP_TRUNCATED')
  await fails(whole.subarray(0, 20), 'BACKUP_TRUNCATED')
  await fails(Buffer.concat([whole, Buffer.alloc(1)]), 'BACKUP_DAMAGED')
  await fails(utf8('not a backup at all'), 'BACKUP_DAMAGED')
  for (const at of [200, 66_000, 140_000, whole.length - 1]) {
    const changed = Buffer.from(whole)
    changed[at] = (changed[at] ?? 0) ^ 1
    await fails(changed, 'BACKUP_DAMAGED')
  }
  const newer = Buffer.from(whole)
  newer[16] = 9
  await fails(newer, 'BACKUP_NEWER')
  await assert.rejects(restore(two, join(two.folder, 'nothing')), { code: 'PATH_UNSAFE' })
  await assert.rejects(restore(two, two.folder), { code: 'PATH_UNSAFE' })
  assert.equal((await restore(two, file)).peerId, one.peerId)
})

test('nothing that stands at the target of a backup is replaced or followed', async (t) => {
  const one = await used(t)
  const victim = join(one.folder, 'victim')
  writeFileSync(victim, 'mine')
  symlinkSync(victim, join(one.folder, 'link'))
  symlinkSync(join(one.folder, 'nowhere'), join(one.folder, 'dangling'))
  for (const name of ['victim', 'link', 'dangling', 'data', 'no-folder/backup'])
    await assert.rejects(backup(one, name), { code: 'PATH_UNSAFE' }, name)
  assert.equal(readFileSync(victim, 'utf8'), 'mine')
  assert.ok(!existsSync(join(one.folder, 'nowhere')))
})

test('files of a profile that others can read, and links in it, are no part of a backup', async (t) => {
  const one = await used(t)
  symlinkSync('/etc/passwd', join(one.paths.stateFolder, 'passwd'))
  const { files } = await backup(one)
  assert.ok(!files.some(({ name }) => name === 'passwd'))
  chmodSync(join(one.paths.stateFolder, 'webhook.key'), 0o644)
  await assert.rejects(backup(one, 'second'), { code: 'PERMISSIONS_UNSAFE' })
})

test('an encrypted identity stays encrypted in its backup', async (t) => {
  const [one, two] = [machine(t), machine(t)]
  const key = join(one.folder, 'key-pass')
  writeFileSync(key, 'another passphrase', { mode: 0o600 })
  mkdirSync(dirname(one.paths.identityFile), { mode: 0o700, recursive: true })
  const { identity } = await ensureIdentity(one.paths.identityFile, key)
  const { file, isIdentityEncrypted, files } = await backup(one)
  assert.ok(isIdentityEncrypted)
  assert.deepEqual(
    files.map(({ name }) => name),
    ['identity.key']
  )
  assert.equal((await restore(two, file)).isIdentityEncrypted, true)
  await assert.rejects(loadIdentity(two.paths.identityFile), { code: 'PASSPHRASE_NEEDED' })
  assert.equal((await loadIdentity(two.paths.identityFile, key))?.peerId, identity.peerId)
})

test('no counter under a key of a group is used again, and two restores of one backup share none', async (t) => {
  const [one, two, three] = [await used(t), machine(t), machine(t)]
  const store = ({ paths }: Machine): DatabaseSync => new DatabaseSync(join(paths.stateFolder, 'mesh.db'))
  const before = store(one)
  before
    .prepare('INSERT INTO group_keys (tag, group_id, epoch, members, slot, key, maker, counter, told) VALUES (?, ?, 1, ?, 0, ?, ?, 512, 1)')
    .run(utf8('tag'), utf8('group'), utf8('members'), utf8('key'), utf8('maker'))
  before.close()
  const { file } = await backup(one)
  const counters = [two, three].map(async (each) => {
    await restore(each, file)
    const database = store(each)
    const counter = Number(database.prepare('SELECT counter FROM group_keys').get()?.['counter'])
    database.close()
    return counter
  })
  const [first = 0, second = 0] = await Promise.all(counters)
  for (const counter of [first, second]) assert.ok(counter > 2 ** 32 && counter < 2 ** 45, `${counter}`)
  assert.ok(Math.abs(first - second) > 10_000)
})
