import assert from 'node:assert/strict'
import { test } from 'node:test'
import { resolveConfig } from '../../src/core/options/index.ts'
import { inboxLimits } from '../../src/mesh/inbox-limits.ts'

const options = resolveConfig({ inbox_max_messages: 10_000, inbox_max_messages_per_peer: 1_000 })
const limitsOf = (paired: boolean) => inboxLimits(new Uint8Array(32), { paired, commands: false, blocked: false }, options).limits

test('a crowd of strangers, and of members that whoever made a group made up, leaves room in the inbox for paired peers', () => {
  const { maxMessages, maxBytes, asMember } = limitsOf(false)
  assert.deepEqual([maxMessages, asMember?.maxMessages, asMember?.maxMessagesOfSource], [2_500, 5_000, 1_000])
  assert.equal(asMember?.maxBytes, 2 * maxBytes)
  assert.deepEqual([limitsOf(true).maxMessages, limitsOf(true).asMember], [10_000, undefined])
})
