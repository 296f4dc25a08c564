import assert from 'node:assert/strict'
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type MeshError, toHex } from '../../src/core/base/index.ts'
import { ensureIdentity, loadIdentity } from '../../src/node/identity.ts'
import { changePassphrase, encodeKeyFile, encodeSeed, readKeyFile } from '../../src/node/key-file.ts'
import { readPassphrase } from '../../src/node/passphrase-file.ts'
import { temporaryFolder } from './temp.ts'

interface Place {
  readonly key: string
  pass(text: string, name?: string): string
}

function place(t: TestContext): Place {
  const folder = temporaryFolder(t)
  return {
    key: join(folder, 'identity.key'),
    pass: (text, name = 'pass') => {
      writeFileSync(join(folder, name), text, { mode: 0o600 })
      return join(folder, name)
    }
  }
}

const codeIs = (code: string) => ({ code })

test('an identity that is made with a passphrase opens with it alone, and says whose it is without', async (t) => {
  const { key, pass } = place(t)
  const right = pass('correct horse battery\n')
  const { identity, created } = await ensureIdentity(key, right)
  assert.ok(created)
  assert.equal(statSync(key).mode & 0o777, 0o600)
  assert.deepEqual(readKeyFile(key), { publicKey: identity.publicKey, isEncrypted: true })
  assert.equal((await loadIdentity(key, right))?.peerId, identity.peerId)
  assert.equal((await loadIdentity(key, pass('correct horse battery\r\n', 'windows')))?.peerId, identity.peerId)
  await assert.rejects(loadIdentity(key), codeIs('PASSPHRASE_NEEDED'))
  await assert.rejects(loadIdentity(key, pass('correct horse batter', 'wrong')), codeIs('PASSPHRASE_WRONG'))
  await assert.rejects(loadIdentity(key, `${right}-missing`), codeIs('PASSPHRASE_UNUSABLE'))
})

test('a passphrase comes, changes and goes; the identity stays', async (t) => {
  const { key, pass } = place(t)
  const { identity } = await ensureIdentity(key)
  const [one, two] = [pass('the first passphrase', 'one'), pass('the second passphrase', 'two')]
  await assert.rejects(changePassphrase(key, `${one}-missing`, one), codeIs('PASSPHRASE_UNUSABLE'))
  assert.equal(readKeyFile(key)?.isEncrypted, false)
  assert.equal((await changePassphrase(key, '', one)).isEncrypted, true)
  assert.equal((await changePassphrase(key, one, two)).isEncrypted, true)
  await assert.rejects(changePassphrase(key, one, two), codeIs('PASSPHRASE_WRONG'))
  assert.equal((await loadIdentity(key, two))?.peerId, identity.peerId)
  assert.equal((await changePassphrase(key, two, '')).isEncrypted, false)
  assert.equal((await loadIdentity(key))?.peerId, identity.peerId)
})

test('the seed is not in an encrypted key file, in no form', async (t) => {
  const seed = new Uint8Array(32).map((_, index) => index + 1)
  const text = Buffer.from(await encodeKeyFile(seed, place(t).pass('a passphrase of some length'))).toString('latin1')
  for (const form of [toHex(seed), Buffer.from(seed).toString('base64'), Buffer.from(seed).toString('latin1')])
    assert.ok(!text.includes(form.slice(0, 24)))
  assert.ok(Buffer.from(encodeSeed(seed)).toString('latin1').includes(toHex(seed)))
})

test('any bit that changes in an encrypted key file makes it damaged, and it is left as it is', async (t) => {
  const { key, pass } = place(t)
  const right = pass('correct horse battery')
  await ensureIdentity(key, right)
  const whole = readFileSync(key)
  for (let at = 0; at < whole.length; at += 5) {
    const changed = Buffer.from(whole)
    changed[at] = (changed[at] ?? 0) ^ 1
    writeFileSync(key, changed)
    assert.throws(() => readKeyFile(key), codeIs('KEY_CORRUPT'), `byte ${at}`)
    assert.deepEqual(readFileSync(key), changed)
  }
  writeFileSync(key, whole.subarray(0, -10))
  await assert.rejects(ensureIdentity(key, right), codeIs('KEY_CORRUPT'))
})

test('a passphrase is one line of 8 to 1,024 bytes in a file that nobody else reads', async (t) => {
  const { pass } = place(t)
  assert.deepEqual(Buffer.from(readPassphrase(pass('päßwörter\n'))).toString(), 'päßwörter')
  assert.equal(readPassphrase(pass('x'.repeat(1_024))).length, 1_024)
  for (const text of ['', '\n', 'seven77', 'x'.repeat(1_025), 'two\nlines of it', 'with a zero \0 byte'])
    assert.throws(() => readPassphrase(pass(text)), codeIs('PASSPHRASE_UNUSABLE'), JSON.stringify(text.slice(0, 20)))
  const open = pass('correct horse battery', 'open')
  chmodSync(open, 0o644)
  assert.throws(() => readPassphrase(open), codeIs('PERMISSIONS_UNSAFE'))
  assert.throws(
    () => readPassphrase('/dev/stdin'),
    (error: MeshError) => ['PATH_UNSAFE', 'PERMISSIONS_UNSAFE'].includes(error.code)
  )
})
