import assert from 'node:assert/strict'
import { test } from 'node:test'
import { toHex, utf8 } from '../../../src/core/base/index.ts'
import { levels, openPair, settle, signers } from './support.ts'

for (const level of levels) {
  test(`a session at level ${level} opens, carries data both ways and says what it is`, () => {
    const { alice, bob } = openPair({ alice: { level } })
    assert.equal(alice.facts?.suite.level, level)
    assert.equal(bob.facts?.suite.level, level)
    assert.deepEqual(alice.facts?.peer.publicKey, signers.bob.publicKey)
    assert.deepEqual(bob.facts?.peer.publicKey, signers.alice.publicKey)
    alice.say('one').say('two')
    bob.say('three')
    settle(alice, bob)
    assert.deepEqual(bob.heard, ['one', 'two'])
    assert.deepEqual(alice.heard, ['three'])
  })

  test(`both sides of level ${level} export the same secrets, others for each purpose, and the same words`, () => {
    const { alice, bob } = openPair({ alice: { level } })
    const of = (end: typeof alice, purpose: string, context: string): string => toHex(end.machine.exportSecret(purpose, utf8(context), 48))
    assert.equal(of(alice, 'a', 'b'), of(bob, 'a', 'b'))
    assert.notEqual(of(alice, 'a', 'b'), of(alice, 'ab', ''))
    assert.equal(alice.words?.length, 3)
    assert.deepEqual(alice.words, bob.words)
  })
}
