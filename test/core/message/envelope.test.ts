import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { decode, encode } from 'cborg'
import { isMeshError, wallMillis } from '../../../src/core/base/index.ts'
import {
  checkDraft,
  contentDigest,
  decodeEnvelope,
  encodeEnvelope,
  messageLimits,
  messageTypes,
  readEnvelopeIdentity
} from '../../../src/core/message/index.ts'
import { draft, envelope, tools } from './samples.ts'

const label = fc.string({ maxLength: 64, unit: 'grapheme' }).filter((text) => text.length <= 64 && !/[\u0000-\u001f\u007f-\u009f]/.test(text))
const id = fc.stringMatching(/^[A-Za-z0-9._-]{1,64}$/)
const key = fc.uint8Array({ minLength: 32, maxLength: 32 })
const principal = fc.record({ kind: fc.constant('peer' as const), key, label }, { noNullPrototype: true })
const thread = fc.record({ root: id, hop: fc.integer({ min: 0, max: 255 }), automatic: fc.boolean() }, { noNullPrototype: true })
const group = fc.record(
  { id: fc.uint8Array({ minLength: 16, maxLength: 16 }), epoch: fc.integer({ min: 1, max: 2 ** 32 - 1 }), message: id },
  { noNullPrototype: true }
)
const plainEnvelope = fc.record(
  {
    version: fc.constant(1 as const),
    id,
    type: fc.constantFrom(...messageTypes),
    source: principal,
    destination: principal,
    epoch: fc.uint8Array({ minLength: 16, maxLength: 16 }),
    sequence: fc.maxSafeNat(),
    inReplyTo: fc.option(id, { nil: undefined }),
    expectsReply: fc.boolean(),
    priority: fc.integer({ min: 0, max: 10 }),
    ttlS: fc.integer({ min: 1, max: messageLimits.ttlS }),
    timestamp: fc.maxSafeNat().map(wallMillis),
    contentType: fc.stringMatching(/^[\x20-\x7e]{1,127}$/),
    body: fc.uint8Array({ maxLength: 2_000 })
  },
  { noNullPrototype: true }
)
const marks = fc.constantFrom({}, { thread: true }, { group: true }, { thread: true, group: true })
const anyEnvelope = fc.tuple(plainEnvelope, marks, thread, group).map(([plain, has, ofThread, ofGroup]) => ({
  ...plain,
  ...('thread' in has ? { thread: ofThread } : {}),
  ...('group' in has ? { group: ofGroup } : {})
}))

const malformed = (bytes: Uint8Array): void =>
  assert.throws(
    () => decodeEnvelope(bytes),
    (thrown) => isMeshError(thrown, 'MESSAGE_MALFORMED')
  )

/** The CBOR fields of the sample with one of them replaced. */
function withField(index: number, value: unknown): Uint8Array {
  const { version, id: messageId, epoch, sequence, source, destination, priority, ttlS, timestamp, contentType, body } = envelope()
  const fields: unknown[] = [
    version,
    messageId,
    epoch,
    sequence,
    1,
    [0, source.key, ''],
    [0, destination.key, ''],
    null,
    false,
    priority,
    ttlS,
    timestamp,
    contentType,
    body
  ]
  fields[index] = value
  return encode(fields)
}

describe('envelope', () => {
  it('decodes to what was encoded', () => {
    fc.assert(fc.property(anyEnvelope, (value) => assert.deepEqual(decodeEnvelope(encodeEnvelope(value)), value)))
  })

  it('refuses every field that is out of its limits', () => {
    decodeEnvelope(withField(3, 4))
    const wrong: readonly (readonly [number, unknown])[] = [
      [1, ''],
      [1, 'a b'],
      [1, 'x'.repeat(65)],
      [1, 7],
      [2, new Uint8Array(15)],
      [2, 'x'],
      [3, -1],
      [3, 1.5],
      [3, 2n ** 60n],
      [4, 0],
      [4, 10],
      [4, 'Thought'],
      [5, [1, new Uint8Array(32), '']],
      [5, [0, new Uint8Array(31), '']],
      [5, [0, new Uint8Array(32), 'x'.repeat(65)]],
      [5, [0, new Uint8Array(32), '\u001b[2J']],
      [5, [0, new Uint8Array(32)]],
      [6, null],
      [7, ''],
      [7, false],
      [8, 1],
      [8, null],
      [9, 11],
      [10, 0],
      [10, messageLimits.ttlS + 1],
      [11, -5],
      [12, ''],
      [12, 'a\nb'],
      [12, 'x'.repeat(128)],
      [13, 'text'],
      [13, null]
    ]
    for (const [index, value] of wrong) malformed(withField(index, value))
  })

  it('refuses bytes that are another encoding of the same envelope', () => {
    const bytes = encodeEnvelope(envelope())
    decodeEnvelope(bytes)
    malformed(Uint8Array.of(...bytes, 0))
    malformed(bytes.slice(0, -1))
    // The version 1 as two bytes instead of one.
    malformed(Uint8Array.of(bytes[0] ?? 0, 0x18, 0x01, ...bytes.subarray(2)))
    // An array of indefinite length.
    malformed(Uint8Array.of(0x9f, ...bytes.subarray(1), 0xff))
  })

  it('tells another version apart, and still reads which message it is', () => {
    const future = encode([2, 'some-id', new Uint8Array(16), 9, { anything: [1, 2] }, 'else'])
    assert.throws(
      () => decodeEnvelope(future),
      (thrown) => isMeshError(thrown, 'UNSUPPORTED_VERSION') && thrown.details['version'] === 2
    )
    assert.deepEqual(readEnvelopeIdentity(future), { version: 2, id: 'some-id', epoch: new Uint8Array(16), sequence: 9 })
  })

  it('refuses a megabyte of nested or empty items before building anything of it', () => {
    for (const byte of [0x81, 0x80, 0x9f, 0xa0, 0xc1, 0x00, 0xf5]) {
      const bytes = new Uint8Array(1_048_576).fill(byte)
      const startedAt = performance.now()
      malformed(bytes)
      malformed(Uint8Array.of(0x9b, 0, 0, 0, 1, 0, 0, 0, 0, ...bytes.subarray(0, 65_536)))
      assert.ok(performance.now() - startedAt < 1_000)
    }
  })

  it('carries a body of one mebibyte, and no more', () => {
    const body = new Uint8Array(messageLimits.bodyBytes).fill(7)
    assert.equal(decodeEnvelope(encodeEnvelope(envelope({ body }))).body.length, messageLimits.bodyBytes)
    malformed(encodeEnvelope(envelope({ body: new Uint8Array(messageLimits.bodyBytes + 1) })))
  })

  it('digests what the caller gave, and nothing that the machine adds', () => {
    const digest = (change: Parameters<typeof draft>[0]): string => Buffer.from(contentDigest(draft(change), tools.sha256)).toString('hex')
    const same = digest({})
    assert.equal(digest({ id: 'another', priority: 0, ttlS: 5 }), same)
    for (const change of [
      { type: 'Command' },
      { label: 'x' },
      { inReplyTo: 'x' },
      { expectsReply: true },
      { contentType: 'a/b' },
      { body: new Uint8Array(1) }
    ] as const) {
      assert.notEqual(digest(change), same)
    }
  })

  it('refuses a draft that no peer would take', () => {
    checkDraft(draft())
    const wrong = [
      { id: '' },
      { id: 'a/b' },
      { priority: 11 },
      { priority: 0.5 },
      { ttlS: 0 },
      { label: '\u0000' },
      { label: '\ud800' },
      { contentType: '' },
      { inReplyTo: ' ' }
    ] as const
    for (const change of wrong)
      assert.throws(
        () => checkDraft(draft(change)),
        (thrown) => isMeshError(thrown, 'OPTION_INVALID')
      )
    assert.throws(
      () => checkDraft(draft({ body: new Uint8Array(messageLimits.bodyBytes + 1) })),
      (thrown) => isMeshError(thrown, 'BODY_TOO_LARGE')
    )
  })
})

describe('marks of an envelope', () => {
  it('refuses marks that are out of their limits, or say nothing', () => {
    const plain = decode(encodeEnvelope(envelope())) as readonly unknown[]
    const withMarks = (...marks: readonly unknown[]): Uint8Array => encode([...plain, ...marks])
    const groupId = new Uint8Array(16)
    decodeEnvelope(withMarks(['root', 255, true], [groupId, 1, 'shared']))
    const wrong: readonly (readonly unknown[])[] = [
      [null],
      [null, null],
      [['root', 0, true]],
      [['', 0, true], null],
      [['root', 256, true], null],
      [['root', 0, 1], null],
      [['root', 0], null],
      [null, [new Uint8Array(15), 1, 'shared']],
      [null, [groupId, 0, 'shared']],
      [null, [groupId, 2 ** 32, 'shared']],
      [null, [groupId, 1, '']],
      [null, [groupId, 1, 'shared'], null]
    ]
    for (const marks of wrong) malformed(withMarks(...marks))
  })
})
