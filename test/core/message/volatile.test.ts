import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { isMeshError, wallMillis } from '../../../src/core/base/index.ts'
import { contentTypes, decodeVolatile, encodeVolatile, messageLimits, messageTypes, type VolatileMessage } from '../../../src/core/message/index.ts'
import { volatileMessage } from './samples.ts'

const id = fc.stringMatching(/^[A-Za-z0-9._-]{1,64}$/)
const label = fc.string({ maxLength: 64, unit: 'grapheme' }).filter((text) => text.length <= 64 && !/[\u0000-\u001f\u007f-\u009f]/.test(text))
const anyMessage: fc.Arbitrary<VolatileMessage> = fc.record(
  {
    id,
    type: fc.constantFrom(...messageTypes),
    label,
    toLabel: label,
    inReplyTo: fc.option(id, { nil: undefined }),
    expectsReply: fc.boolean(),
    priority: fc.integer({ min: 0, max: 10 }),
    ttlS: fc.integer({ min: 1, max: messageLimits.ttlS }),
    timestamp: fc.integer({ min: 0, max: 2 ** 48 - 1 }).map(wallMillis),
    contentType: fc.oneof(fc.constantFrom(...contentTypes), fc.stringMatching(/^[\x20-\x7e]{1,127}$/)),
    body: fc.uint8Array({ maxLength: 300 })
  },
  { noNullPrototype: true }
)

const malformed = (frame: Uint8Array): void =>
  assert.throws(
    () => decodeVolatile(frame),
    (thrown) => isMeshError(thrown, 'MESSAGE_MALFORMED')
  )

describe('volatile frame', () => {
  it('decodes to the messages that were encoded', () => {
    fc.assert(
      fc.property(fc.array(anyMessage, { minLength: 1, maxLength: 8 }), (messages) =>
        assert.deepEqual(decodeVolatile(encodeVolatile(messages)), messages)
      )
    )
  })

  it('carries bodies without copying them', () => {
    const frame = encodeVolatile([volatileMessage()])
    assert.equal(decodeVolatile(frame)[0]?.body.buffer, frame.buffer)
  })

  it('refuses a count that is larger or smaller than the messages that follow', () => {
    const frame = encodeVolatile([volatileMessage(), volatileMessage()])
    for (const count of [0, 1, 3, 65_535]) {
      const changed = Uint8Array.from(frame)
      changed[2] = count >> 8
      changed[3] = count & 255
      malformed(changed)
    }
  })

  it('refuses a known content type that is spelt out: each message has one encoding', () => {
    const frame = encodeVolatile([volatileMessage({ contentType: 'x'.repeat(16) })])
    const at = Buffer.from(frame).indexOf('x'.repeat(16))
    const changed = Uint8Array.from(frame)
    changed.set(new TextEncoder().encode('application/json'), at)
    malformed(changed)
  })

  it('tells another version apart', () => {
    const frame = encodeVolatile([volatileMessage()])
    frame[1] = 2
    assert.throws(
      () => decodeVolatile(frame),
      (thrown) => isMeshError(thrown, 'UNSUPPORTED_VERSION')
    )
  })

  it('refuses to encode what no peer would take', () => {
    for (const change of [{ id: 'a b' }, { priority: 11 }, { ttlS: 0 }, { label: '\u0007' }, { contentType: '' }] as const) {
      assert.throws(
        () => encodeVolatile([volatileMessage(change)]),
        (thrown) => isMeshError(thrown, 'OPTION_INVALID')
      )
    }
    assert.throws(
      () => encodeVolatile([volatileMessage({ body: new Uint8Array(messageLimits.bodyBytes + 1) })]),
      (thrown) => isMeshError(thrown, 'BODY_TOO_LARGE')
    )
  })
})
