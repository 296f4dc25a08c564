import assert from 'node:assert/strict'
import { chmodSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { toHex, utf8 } from '../../src/core/base/index.ts'
import { createVerifier } from '../../src/crypto/index.ts'
import { ensureIdentity, ephemeralIdentity, identityOf, loadIdentity } from '../../src/node/identity.ts'
import { decodeSeed, encodeSeed } from '../../src/node/key-file.ts'
import { temporaryFolder } from './temp.ts'

test('an identity is made once and is the same afterwards', async (t) => {
  const file = join(temporaryFolder(t), 'profile', 'identity.key')
  assert.equal(await loadIdentity(file), undefined)
  const made = await ensureIdentity(file)
  const again = await ensureIdentity(file)
  assert.deepEqual([made.created, again.created], [true, false])
  assert.equal(again.identity.peerId, made.identity.peerId)
  assert.deepEqual(readdirSync(join(file, '..')), ['identity.key'])
})

test('signer, public key, peer id and libp2p key are those of one key pair', async () => {
  const identity = await ephemeralIdentity()
  const signer = identity.signer('main')
  assert.deepEqual(signer.publicKey, identity.publicKey)
  assert.deepEqual(new Uint8Array(identity.libp2pKey.publicKey.raw), identity.publicKey)
  assert.ok(identity.peerId.startsWith('12D3Koo'))
  assert.equal(createVerifier('main').verify('card', identity.publicKey, utf8('x'), signer.sign('card', utf8('x'))), true)
})

test('a known seed gives its known peer id, and is overwritten', async () => {
  const seed = new Uint8Array(32).fill(7)
  const identity = await identityOf(seed)
  assert.equal(toHex(identity.publicKey), 'ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c')
  assert.deepEqual(seed, new Uint8Array(32))
})

test('every flipped bit and every truncation of a key file is KEY_CORRUPT', () => {
  const whole = encodeSeed(new Uint8Array(32).fill(9))
  assert.deepEqual(decodeSeed(whole, 'file'), new Uint8Array(32).fill(9))
  for (let bit = 0; bit < whole.length * 8; bit++) {
    const flipped = whole.map((byte, index) => (index === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte))
    assert.throws(() => decodeSeed(flipped, 'file'), { code: 'KEY_CORRUPT' }, `bit ${bit}`)
  }
  for (let length = 0; length < whole.length; length++)
    assert.throws(() => decodeSeed(whole.slice(0, length), 'file'), { code: 'KEY_CORRUPT' }, `length ${length}`)
  assert.throws(() => decodeSeed(Buffer.concat([whole, Buffer.from('\n')]), 'file'), { code: 'KEY_CORRUPT' })
})

test('a damaged key file is left as it is: no new identity takes its place', async (t) => {
  const file = join(temporaryFolder(t), 'identity.key')
  for (const damaged of ['', 'garbage', '\0'.repeat(300)]) {
    writeFileSync(file, damaged, { mode: 0o600 })
    await assert.rejects(ensureIdentity(file), { code: 'KEY_CORRUPT' })
    assert.equal(readFileSync(file, 'utf8'), damaged)
  }
})

test('a key file that others may read, or that is a link, is refused', async (t) => {
  const folder = temporaryFolder(t)
  const file = join(folder, 'identity.key')
  await ensureIdentity(file)
  symlinkSync(file, join(folder, 'link'))
  await assert.rejects(ensureIdentity(join(folder, 'link')), { code: 'PATH_UNSAFE' })
  chmodSync(file, 0o640)
  await assert.rejects(loadIdentity(file), { code: 'PERMISSIONS_UNSAFE' })
})

test('an error about a key says nothing of the key', () => {
  const text = Buffer.from(encodeSeed(new Uint8Array(32).fill(9)))
    .toString()
    .replace('sha256 ', 'sha256 0')
  assert.throws(
    () => decodeSeed(utf8(text), 'file'),
    (error: Error) => !JSON.stringify(error).includes('0909') && !error.message.includes('0909')
  )
})
