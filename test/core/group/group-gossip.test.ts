import assert from 'node:assert/strict'
import { hkdfSync } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { sha256 } from '@noble/hashes/sha2.js'
import { decodeCbor } from '../../../src/core/base/cbor.ts'
import { ByteWriter, type ErrorCode, fromHex, isMeshError, toHex, utf8 } from '../../../src/core/base/index.ts'
import {
  decodeGroupKey,
  encodeGroupContent,
  encodeGroupKey,
  groupFrameLimits,
  groupTag,
  membersDigest,
  openGroupContent,
  openGroupFrame,
  readGroupFrame,
  ReplayWindow,
  sealGroupFrame,
  senderKey
} from '../../../src/core/group/index.ts'
import { alice, bob, carol, contentBytes, contentOf, crypto, secret, verifier } from './gossip-support.ts'

const vectors = new URL('../../vectors/group-v1.json', import.meta.url)
const fails = (code: ErrorCode, work: () => unknown): void => assert.throws(work, (error) => isMeshError(error, code))
const seal = (counter: number, content = contentBytes()): Uint8Array =>
  sealGroupFrame(crypto, { secret, sender: alice.publicKey }, { counter, content })

describe('group keys', () => {
  it('derives as HKDF-SHA-256 of node:crypto does', () => {
    const info = (purpose: string, sender: Uint8Array): Uint8Array =>
      new ByteWriter().prefixed32(utf8(purpose)).prefixed32(sender).prefixed32(secret.group).u32(secret.epoch).finish()
    const reference = (purpose: string, sender: Uint8Array, length: number): string =>
      toHex(new Uint8Array(hkdfSync('sha256', secret.key, utf8('synaptic-mesh group keys/1'), info(purpose, sender), length)))
    assert.equal(toHex(groupTag(crypto, secret)), reference('tag', new Uint8Array(), 16))
    assert.equal(toHex(senderKey(crypto, secret, alice.publicKey)), reference('sender', alice.publicKey, 32))
  })

  it('gives every sender, group and epoch another key', () => {
    const other = { ...secret, epoch: 4 }
    const group = { ...secret, group: new Uint8Array(16).fill(8) }
    const keys = [secret, other, group].flatMap((each) => [alice, bob].map(({ publicKey }) => toHex(senderKey(crypto, each, publicKey))))
    assert.equal(new Set([...keys, ...[secret, other, group].map((each) => toHex(groupTag(crypto, each)))]).size, 9)
  })

  it('names the members of an epoch by all of them, in their order', () => {
    const of = (...keys: readonly Uint8Array[]): string => toHex(membersDigest(keys.map((key) => ({ key }))))
    assert.notEqual(of(alice.publicKey, bob.publicKey), of(alice.publicKey))
    assert.notEqual(of(alice.publicKey, bob.publicKey), of(bob.publicKey, alice.publicKey))
  })

  it('carries a key to one member and takes it apart again', () => {
    const message = { ...secret, members: membersDigest([]), slot: 1_023 }
    assert.deepEqual(decodeGroupKey(encodeGroupKey(message)), message)
    fails('MESSAGE_MALFORMED', () => decodeGroupKey(encodeGroupKey({ ...message, slot: 1_024 })))
    fails('MESSAGE_MALFORMED', () => decodeGroupKey(encodeGroupKey({ ...message, key: new Uint8Array(31) })))
  })
})

describe('group frames', () => {
  it('opens for members what its sender sealed', () => {
    const frame = readGroupFrame(seal(5))
    assert.equal(frame.counter, 5)
    assert.equal(toHex(frame.tag), toHex(groupTag(crypto, secret)))
    const content = openGroupContent(openGroupFrame(crypto, { secret, sender: alice.publicKey }, frame), { sender: alice.publicKey, verifier })
    const { proof, ...said } = content
    assert.deepEqual(said, contentOf())
    assert.ok(proof.length > 200)
  })

  it('does not open under the key of another epoch, as another sender, or when a bit of it was changed', () => {
    const frame = seal(5)
    fails('SESSION_RECORD_INVALID', () =>
      openGroupFrame(crypto, { secret: { ...secret, key: new Uint8Array(32) }, sender: alice.publicKey }, readGroupFrame(frame))
    )
    fails('SESSION_RECORD_INVALID', () => openGroupFrame(crypto, { secret: { ...secret, epoch: 4 }, sender: alice.publicKey }, readGroupFrame(frame)))
    fails('SESSION_RECORD_INVALID', () => openGroupFrame(crypto, { secret, sender: bob.publicKey }, readGroupFrame(frame)))
    for (const at of [1, 20, 30, frame.length - 1]) {
      const changed = Uint8Array.from(frame)
      changed[at] = (changed[at] ?? 0) ^ 1
      fails('SESSION_RECORD_INVALID', () => openGroupFrame(crypto, { secret, sender: alice.publicKey }, readGroupFrame(changed)))
    }
  })

  it('keeps to its size and its counters', () => {
    const largest = new Uint8Array(groupFrameLimits.contentBytes)
    assert.equal(seal(0, largest).length, groupFrameLimits.bytes)
    fails('BODY_TOO_LARGE', () => seal(0, new Uint8Array(groupFrameLimits.contentBytes + 1)))
    fails('MESSAGE_MALFORMED', () => readGroupFrame(seal(groupFrameLimits.counter)))
    fails('UNSUPPORTED_VERSION', () => readGroupFrame(Uint8Array.of(2, ...new Uint8Array(60))))
    fails('MESSAGE_MALFORMED', () => readGroupFrame(seal(1).subarray(0, 41)))
  })
})

describe('group content', () => {
  it('is taken from the one who signed it only, and whole', () => {
    const bytes = contentBytes()
    fails('SIGNATURE_INVALID', () => openGroupContent(bytes, { sender: bob.publicKey, verifier }))
    // What one member signed, with another template or other sequences.
    const parts = decodeCbor(bytes, { what: 'test', maxBytes: 4_096, maxItems: 5, maxDepth: 1 }) as readonly Uint8Array[]
    const other = decodeCbor(encodeGroupContent(contentOf({ sequences: [9, 9, 9], template: utf8('another') }), alice), {
      what: 'test',
      maxBytes: 4_096,
      maxItems: 5,
      maxDepth: 1
    }) as readonly Uint8Array[]
    for (const index of [2, 3]) {
      const mixed = parts.map((part, at) => (at === index ? other[at] : part))
      const writer = new ByteWriter().u8(0x84)
      for (const part of mixed) writer.raw(cborBytes(part ?? new Uint8Array()))
      fails('SIGNATURE_INVALID', () => openGroupContent(writer.finish(), { sender: alice.publicKey, verifier }))
    }
  })

  it('leaves a proof by which a third party knows who wrote the template', () => {
    const { proof, template } = openGroupContent(contentBytes(), { sender: alice.publicKey, verifier })
    const [version, statement, signature, sequences] = decodeCbor(proof, { what: 'proof', maxBytes: 16_384, maxItems: 5, maxDepth: 1 }) as [
      number,
      Uint8Array,
      Uint8Array,
      Uint8Array
    ]
    const said = decodeCbor(statement, { what: 'statement', maxBytes: 256, maxItems: 9, maxDepth: 1 }) as readonly unknown[]
    assert.equal(version, 2)
    assert.ok(verifier.verify('group-message', alice.publicKey, statement, signature))
    assert.ok(!verifier.verify('group', alice.publicKey, statement, signature), 'it is no record')
    assert.deepEqual(said.slice(6), [sha256(sequences), sha256(template)])
  })

  it('has room for the sequences of 1,024 members', () => {
    const sequences = Array.from({ length: 1_024 }, (_, index) => 1_000_000 + index)
    const opened = openGroupContent(contentBytes({ sequences }), { sender: alice.publicKey, verifier })
    assert.deepEqual(opened.sequences, sequences)
    fails('MESSAGE_MALFORMED', () => openGroupContent(contentBytes({ sequences: [...sequences, 1] }), { sender: alice.publicKey, verifier }))
  })
})

describe('group replay window', () => {
  it('takes each counter once, in any order within 1,024', () => {
    const window = new ReplayWindow()
    for (const counter of [3, 0, 2, 1, 1_026, 1_025]) {
      assert.ok(window.isNew(counter), `${counter}`)
      window.add(counter)
      assert.ok(!window.isNew(counter), `${counter} again`)
    }
    assert.ok(!window.isNew(2), 'too old to tell')
    assert.ok(!window.isNew(3), 'seen')
    assert.ok(window.isNew(4))
  })

  it('forgets nothing that it still answers for after a leap', () => {
    const window = new ReplayWindow()
    for (let counter = 0; counter < 3_000; counter += 3) window.add(counter)
    window.add(500_000)
    assert.ok(!window.isNew(2_997))
    assert.ok(!window.isNew(500_000 - 1_024))
    assert.ok(window.isNew(500_000 - 1_023))
  })
})

describe('group vectors', () => {
  const produce = (): Readonly<Record<string, string>> => ({
    alice: toHex(alice.publicKey),
    bob: toHex(bob.publicKey),
    carol: toHex(carol.publicKey),
    key: toHex(secret.key),
    group: toHex(secret.group),
    epoch: String(secret.epoch),
    members: toHex(contentOf().members),
    tag: toHex(groupTag(crypto, secret)),
    senderKey: toHex(senderKey(crypto, secret, alice.publicKey)),
    content: toHex(contentBytes()),
    counter: '5',
    frame: toHex(seal(5)),
    keyMessage: toHex(encodeGroupKey({ ...secret, members: contentOf().members, slot: 1 }))
  })

  it('are what they were', () => {
    if (process.env['UPDATE'] === '1') writeFileSync(vectors, `${JSON.stringify(produce(), undefined, 2)}\n`)
    const recorded = JSON.parse(readFileSync(vectors, 'utf8')) as Readonly<Record<string, string>>
    assert.deepEqual(produce(), recorded)
    const frame = readGroupFrame(fromHex(recorded['frame'] ?? ''))
    const content = openGroupFrame(crypto, { secret, sender: alice.publicKey }, frame)
    assert.equal(openGroupContent(content, { sender: alice.publicKey, verifier }).message, contentOf().message)
  })
})

/** A byte string of CBOR. */
function cborBytes(bytes: Uint8Array): Uint8Array {
  const writer = new ByteWriter()
  if (bytes.length < 24) writer.u8(0x40 + bytes.length)
  else if (bytes.length < 256) writer.u8(0x58).u8(bytes.length)
  else writer.u8(0x59).u16(bytes.length)
  return writer.raw(bytes).finish()
}
