import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dialReason } from '../../src/mesh/dial-reason.ts'

test('why a dial did not connect is told in words, whatever the library says', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['connection error 11.77.1.2:9000: connect ECONNREFUSED 11.77.1.2:9000', 'connection refused'],
    ['connection error 2a0f::2:9000: connect EADDRNOTAVAIL 2a0f::2:9000 - Local (:::0)', 'no way to that network'],
    ['getaddrinfo EAI_AGAIN relay.example', 'the host name cannot be looked up now'],
    ['failed to connect via relay with status NO_RESERVATION', 'the relay does not hold the peer: it is off, or has no place there'],
    ['failed to connect via relay with status PERMISSION_DENIED', 'the relay does not serve this node'],
    ['The operation was aborted', 'no answer'],
    ['[object ErrorEvent]', 'no WebSocket there'],
    ['something else', 'something else']
  ]
  for (const [given, wanted] of cases) assert.equal(dialReason(new Error(given)), wanted)
  assert.equal(dialReason('a text'), 'a text')
  assert.equal(dialReason(new Event('close')), 'the connection ended')
})

test('of several addresses each reason is told once, three at most, and addresses of this node are none', () => {
  const errors = (...texts: readonly string[]): AggregateError => new AggregateError(texts.map((text) => new Error(text)))
  assert.equal(dialReason(errors('connect ECONNREFUSED a', 'connect ECONNREFUSED b', 'x is an address of this node')), 'connection refused')
  assert.equal(dialReason(errors('x is an address of this node')), 'no address of the peer is known')
  assert.equal(dialReason(errors('one', 'two', 'three', 'four')), 'one; two; three')
  assert.equal(dialReason(new AggregateError([errors('connect ETIMEDOUT a')])), 'no answer')
  assert.equal(dialReason(new AggregateError([errors('one', 'two'), errors('two', 'three')])), 'one; two; three')
  const withoutIp6 = [new Error('connect EADDRNOTAVAIL 2a0f::2:9000'), new Error('[object ErrorEvent]'), new Event('error')]
  assert.equal(dialReason(new AggregateError([...withoutIp6, new Error('connect ECONNREFUSED a')])), 'connection refused')
  assert.equal(dialReason(new AggregateError(withoutIp6.slice(0, 1))), 'no way to that network')
})
