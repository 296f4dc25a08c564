import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type MeshError, millis } from '../../../src/core/base/index.ts'
import { decodeHello, encodeRefusal } from '../../../src/core/session/hello.ts'
import { wordList } from '../../../src/core/session/word-list.ts'
import { WordsExchange } from '../../../src/core/session/words.ts'
import { suiteOf } from '../../../src/core/session/index.ts'
import { End, addresses, aliceOptions, bobOptions, crypto, levels, openPair, settle, signers } from './support.ts'

/** Alice has sent C; what Bob then sends waits. */
function confirming(): { readonly alice: End; readonly bob: End } {
  const alice = new End(aliceOptions()).start()
  const bob = new End(bobOptions()).start()
  bob.receive(alice.take())
  alice.receive(bob.take())
  bob.receive(alice.take())
  return { alice, bob }
}

test('the first frame says version, level, suite, offers and network in clear, and its size is what the suite needs', () => {
  for (const [level, bytes] of [
    [1, 832],
    [3, 1_216],
    [5, 1_600]
  ] as const) {
    const [frame = new Uint8Array(0)] = new End(aliceOptions({ level })).start().take()
    const { suite, offers, network, pqAuth, messageA } = decodeHello(frame)
    assert.deepEqual({ level: suite.level, offers, network, pqAuth }, { level, offers: [1, 3, 5], network: 'test', pqAuth: false })
    assert.equal(messageA.length, bytes)
  }
})

test('bytes and time of the handshake are counted', () => {
  const alice = new End(aliceOptions({ level: 3 })).start(millis(1_000))
  const bob = new End(bobOptions()).start(millis(1_000))
  settle(alice, bob, millis(1_042))
  assert.equal(alice.facts?.handshakeMs, 42)
  const expected = [...alice.sent.slice(0, 4), ...bob.sent.slice(0, 2)].reduce((sum, { length }) => sum + length, 0)
  assert.equal(alice.facts.handshakeBytes, expected)
})

for (const minimumLevel of [3, 5] as const) {
  for (const level of levels.filter((lower) => lower < minimumLevel)) {
    test(`a responder that wants level ${minimumLevel} refuses ${level}: both sides are told, with exit code 8, and no key was used`, () => {
      let handshakes = 0
      const { createHandshake } = bobOptions()
      const counting: typeof createHandshake = (request) => {
        handshakes += 1
        return createHandshake(request)
      }
      const alice = new End(aliceOptions({ level })).start()
      const bob = new End(bobOptions({ minimumLevel, createHandshake: counting })).start()
      settle(alice, bob)
      for (const end of [alice, bob]) {
        end.fails('LEVEL_REFUSED')
        assert.equal(end.error?.exitCode, 8)
        assert.deepEqual(end.error?.details, { level, minimum: minimumLevel, ...(end === bob ? { by: 'this node' } : {}) })
        assert.equal(end.facts, undefined)
      }
      assert.equal(handshakes, 0)
    })
  }
}

test('a responder refuses a level that it does not carry', () => {
  const alice = new End(aliceOptions({ level: 5 })).start()
  const bob = new End(bobOptions({ levels: [1, 3] })).start()
  settle(alice, bob)
  alice.fails('LEVEL_REFUSED')
})

test('a refusal that anybody may have forged ends the attempt, and nothing lower is tried', () => {
  const alice = new End(aliceOptions({ level: 5 })).start()
  alice.take()
  alice.receive([encodeRefusal({ code: 'LEVEL_REFUSED', minimumLevel: 1 })])
  alice.fails('LEVEL_REFUSED')
  alice.input({ type: 'wake' }, millis(10_000))
  assert.deepEqual(alice.frames, [])
})

test('a responder that finds something else wrong says nothing to the peer', () => {
  const bob = new End(bobOptions()).start().receive([new Uint8Array(40)])
  bob.fails('MESSAGE_MALFORMED')
  assert.deepEqual(bob.frames, [])
})

test('another version is refused by name', () => {
  const [frame = new Uint8Array(0)] = new End(aliceOptions()).start().take()
  const bob = new End(bobOptions()).start().receive([frame.with(1, 2)])
  bob.fails('UNSUPPORTED_VERSION')
  const alice = new End(aliceOptions()).start().receive(bob.take())
  alice.fails('UNSUPPORTED_VERSION')
})

test('without the key confirmation of the responder the initiator has no session', () => {
  const { alice, bob } = confirming()
  assert.equal(alice.facts, undefined)
  alice.receive(bob.take().slice(1))
  alice.fails('SESSION_UNCONFIRMED')
  assert.equal(alice.facts, undefined)
})

test('a confirmation that does not open, or a stream that ends before it, is no session', () => {
  const altered = confirming()
  altered.alice.receive(altered.bob.take().map((frame) => frame.with(5, (frame[5] ?? 0) ^ 1)))
  altered.alice.fails('SESSION_UNCONFIRMED')
  const ended = confirming()
  ended.alice.input({ type: 'stream-ended' })
  ended.alice.fails('SESSION_UNCONFIRMED')
  const early = new End(aliceOptions()).start().input({ type: 'stream-ended' })
  early.fails('HANDSHAKE_FAILED')
})

test('a confirmation that is sealed with the right key and says something else is no session', () => {
  let extracts = 0
  // The HMACs over one part: the extraction of the root, then the own confirmation.
  const hmac: typeof crypto.hmac = (name, key, ...parts) => {
    const result = crypto.hmac(name, key, ...parts)
    return parts.length === 1 && ++extracts === 2 ? result.map((byte) => byte ^ 1) : result
  }
  const alice = new End(aliceOptions()).start()
  const bob = new End(bobOptions({ crypto: { ...crypto, hmac } })).start()
  settle(alice, bob)
  alice.fails('SESSION_UNCONFIRMED')
  assert.equal(alice.facts, undefined)
})

test('a handshake that stalls at any step ends after five seconds', () => {
  const silent = new End(aliceOptions()).start(millis(100))
  const unconfirmed = confirming().alice
  const lonely = new End(bobOptions()).start(millis(100))
  assert.equal(silent.machine.wakeAt, 5_100)
  for (const end of [silent, unconfirmed, lonely]) {
    end.input({ type: 'wake' }, millis(4_999))
    assert.equal(end.error, undefined)
    end.input({ type: 'wake' }, millis(5_100))
    end.fails('TIMEOUT')
  }
})

test('data cannot be sent before the session is open', () => {
  const alice = new End(aliceOptions()).start()
  alice.say('early')
  alice.fails('INTERNAL')
})

test('the words are three of 2,048, the same on both sides, and others in each session', () => {
  assert.equal(wordList.length, 2_048)
  assert.equal(new Set(wordList.map((word) => word.slice(0, 4))).size, 2_048)
  const seen = new Set<string>()
  for (let count = 0; count < 20; count++) {
    const { alice, bob } = openPair()
    assert.deepEqual(alice.words, bob.words)
    assert.ok(alice.words?.length === 3 && alice.words.every((word) => wordList.includes(word)))
    seen.add(alice.words.join(' '))
  }
  assert.equal(seen.size, 20)
})

test('somebody in the middle, whose key Alice was given in place of the one of Bob, has other words on each side', () => {
  const alice = new End(aliceOptions({ responder: addresses.mallory, responderKey: signers.mallory.publicKey })).start()
  const towardsAlice = new End(bobOptions({ signer: signers.mallory, responder: addresses.mallory })).start()
  settle(alice, towardsAlice)
  const towardsBob = new End(aliceOptions({ signer: signers.mallory })).start()
  const bob = new End(bobOptions({ initiatorKey: signers.mallory.publicKey })).start()
  settle(towardsBob, bob)
  assert.ok(alice.words !== undefined && bob.words !== undefined)
  assert.notDeepEqual(alice.words, bob.words)
})

test('a nonce that is not the one committed to, or out of turn, is refused', () => {
  const tools = { crypto, suite: suiteOf(3) }
  const exporter = new Uint8Array(32)
  const initiator = new WordsExchange(tools, 'initiator')
  const responder = new WordsExchange(tools, 'responder')
  const { send } = responder.step(initiator.commit(), exporter)
  assert.ok(send !== undefined)
  const { send: reveal } = initiator.step(send, exporter)
  assert.ok(reveal !== undefined)
  const malformed = (error: MeshError): boolean => error.code === 'MESSAGE_MALFORMED'
  assert.throws(() => responder.step({ ...reveal, plaintext: reveal.plaintext.with(0, (reveal.plaintext[0] ?? 0) ^ 1) }, exporter), malformed)
  assert.throws(() => responder.step(initiator.commit(), exporter), malformed)
  assert.throws(() => initiator.step(send, exporter), malformed)
  assert.equal(responder.step(reveal, exporter).words?.length, 3)
})
