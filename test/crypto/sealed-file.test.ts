import assert from 'node:assert/strict'
import { test } from 'node:test'
import { concat, fromHex, type MeshError, toHex, utf8 } from '../../src/core/base/index.ts'
import { argon2id, createSeal, openChunks, openSeal, type Seal, sealChunks, sealedBytes, sealHeaderBytes } from '../../src/crypto/sealed-file.ts'
import { SeededRandom } from '../../src/testing/seeded-random.ts'

const passphrase = utf8('correct horse battery staple')
const file = 'a file'
const chunk = 65_536

const sealed = async (plain: Uint8Array): Promise<Uint8Array> => concat(...sealChunks(await createSeal('backup', passphrase, plain.length), [plain]))
const rest = (bytes: Uint8Array): readonly Uint8Array[] => [bytes.subarray(sealHeaderBytes)]
const opened = (seal: Seal, pieces: Iterable<Uint8Array>): Uint8Array => concat(...openChunks(seal, pieces, file))
const open = async (bytes: Uint8Array): Promise<Uint8Array> => opened(await openSeal(bytes, 'backup', { passphrase, file }), rest(bytes))
const pseudo = (bytes: number): Uint8Array => new SeededRandom(bytes + 1).bytes(bytes)

test('what was sealed opens again, whatever its length and however it is cut', async () => {
  for (const length of [0, 1, chunk - 1, chunk, chunk + 1, 2 * chunk, 200_000]) {
    const plain = pseudo(length)
    const bytes = await sealed(plain)
    assert.equal(bytes.length, sealedBytes(length), `${length}`)
    const seal = await openSeal(bytes, 'backup', { passphrase, file })
    for (const step of [7_919, 65_552, 1_000_000]) {
      const pieces: Uint8Array[] = []
      for (let at = sealHeaderBytes; at < bytes.length; at += step) pieces.push(bytes.subarray(at, at + step))
      assert.deepEqual(opened(seal, pieces), plain, `${length} in steps of ${step}`)
    }
  }
})

test('two seals of the same bytes have nothing in common', async () => {
  const [one, other] = [await sealed(pseudo(100)), await sealed(pseudo(100))]
  assert.notDeepEqual(one.subarray(40, sealHeaderBytes), other.subarray(40, sealHeaderBytes))
  assert.notDeepEqual(rest(one), rest(other))
})

test('a wrong passphrase, another purpose and a newer version have names of their own', async () => {
  const bytes = await sealed(pseudo(10))
  await assert.rejects(openSeal(bytes, 'backup', { passphrase: utf8('correct horse'), file }), { code: 'PASSPHRASE_WRONG' })
  await assert.rejects(openSeal(bytes, 'identity', { passphrase, file }), { code: 'BACKUP_DAMAGED' })
  await assert.rejects(openSeal(bytes.with(16, 2), 'backup', { passphrase, file }), { code: 'BACKUP_NEWER' })
  await assert.rejects(openSeal(utf8('something else altogether'), 'backup', { passphrase, file }), { code: 'BACKUP_DAMAGED' })
  await assert.rejects(openSeal(bytes.subarray(0, 50), 'backup', { passphrase, file }), { code: 'BACKUP_TRUNCATED' })
})

test('any bit that changes is noticed: in the header before the passphrase is tried, behind it by the part that it is in', async () => {
  const plain = pseudo(chunk + 100)
  const bytes = await sealed(plain)
  for (let at = 0; at < sealHeaderBytes; at++)
    await assert.rejects(
      openSeal(bytes.with(at, (bytes[at] ?? 0) ^ 1), 'backup', { passphrase, file }),
      (error: MeshError) => ['BACKUP_DAMAGED', 'BACKUP_NEWER'].includes(error.code),
      `byte ${at}`
    )
  const seal = await openSeal(bytes, 'backup', { passphrase, file })
  for (const at of [0, 1, 5_000, chunk - 1, chunk + 15, chunk + 16, chunk + 17, chunk + 131]) {
    const where = sealHeaderBytes + at
    assert.throws(() => opened(seal, rest(bytes.with(where, (bytes[where] ?? 0) ^ 0x80))), { code: 'BACKUP_DAMAGED' }, `byte ${at}`)
  }
})

test('parts that are missing, repeated, swapped or added are noticed', async () => {
  const bytes = await sealed(pseudo(3 * chunk))
  const seal = await openSeal(bytes, 'backup', { passphrase, file })
  const part = (index: number): Uint8Array => bytes.subarray(sealHeaderBytes + index * (chunk + 16), sealHeaderBytes + (index + 1) * (chunk + 16))
  const [first, second, third] = [part(0), part(1), part(2)]
  assert.equal(opened(seal, [first, second, third]).length, 3 * chunk)
  for (const short of [[], [first], [first, second], [first, second, third.subarray(0, -1)], [first, second, third.subarray(0, 3)]])
    assert.throws(() => opened(seal, short), { code: 'BACKUP_TRUNCATED' })
  for (const wrong of [
    [second, first, third],
    [first, first, third],
    [first, second, third, new Uint8Array(1)],
    [first, second, third, third],
    [third, second, first]
  ])
    assert.throws(() => opened(seal, wrong), { code: 'BACKUP_DAMAGED' })
})

test('a header that asks for absurd work is refused before any is done', async () => {
  const bytes = await sealed(pseudo(1))
  const { hash } = await import('node:crypto')
  const asking = (offset: number, value: number): Uint8Array => {
    const changed = bytes.slice()
    new DataView(changed.buffer).setUint32(offset, value)
    changed.set(hash('sha256', changed.subarray(0, sealHeaderBytes - 16), 'buffer').subarray(0, 16), sealHeaderBytes - 16)
    return changed
  }
  for (const [offset, value] of [
    [18, 0xffff_ffff],
    [18, 0],
    [22, 1_000_000],
    [22, 0],
    [26, 4_096],
    [26, 0],
    [30, 0xffff_ffff]
  ] as const)
    await assert.rejects(openSeal(asking(offset, value), 'backup', { passphrase, file }), { code: 'BACKUP_DAMAGED' }, `${offset} ${value}`)
  // Bearable, but not what it was sealed with.
  await assert.rejects(openSeal(asking(22, 1), 'backup', { passphrase, file }), { code: 'PASSPHRASE_WRONG' })
})

test('Argon2id gives the answer of RFC 9106 section 5.3', async () => {
  const fill = (bytes: number, value: number): Uint8Array => new Uint8Array(bytes).fill(value)
  const input = {
    message: fill(32, 1),
    nonce: fill(16, 2),
    secret: fill(8, 3),
    associatedData: fill(12, 4),
    cost: { memoryKiB: 32, passes: 3, lanes: 4 }
  }
  assert.equal(toHex(await argon2id({ ...input, bytes: 32 })), '0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659')
})

test('a file that an earlier version sealed still opens', async () => {
  assert.deepEqual(await open(fromHex(vector)), utf8('synaptic mesh'))
})

/** 'synaptic mesh' under the passphrase above: the format must go on reading it. */
const vector =
  '73796e61707469632d7365616c65640a0101000100000000000300000004000000000000000de56ea9ab2fb41a9f2a10c38c1bda526e33db52bb219eb38f2da17f' +
  '06e809597f01ca4c4a62e7c47fe800ed7036d40d83fb20141fb0cb1bde8f6ebc4431e7940fe7a262a18bf967f547913fae8dcd78ba9e67cc1bb155c53b7e8be46a' +
  'bdbc1cea'
