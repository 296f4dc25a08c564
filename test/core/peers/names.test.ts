import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMeshError } from '../../../src/core/base/index.ts'
import { type NameBook, resolveName } from '../../../src/core/peers/index.ts'

const id = (tail: string): string => `12D3KooW${tail.padEnd(44, 'x')}`
const alice = { peerId: id('AAAAAAa'), name: 'agent-001', alias: 'alice', labels: ['planner'] }
const bob = { peerId: id('BBBBBBb'), name: 'node-beta', alias: '', labels: ['worker'] }
const book: NameBook = {
  paired: [alice, bob],
  claims: [
    { peerId: id('CCCCCCc'), name: 'agent-001', labels: [] },
    { peerId: id('DDDDDDd'), name: 'stranger', labels: ['guest'] },
    { peerId: id('EEEEEEe'), name: 'twin', labels: [] },
    { peerId: id('FFFFFFf'), name: 'twin', labels: [] }
  ]
}
const failure = (code: string) => (error: unknown) => isMeshError(error) && error.code === code

test('the order is alias, prefix, name, label, and only then what strangers claim', () => {
  assert.deepEqual(resolveName('alice', book), { peerId: alice.peerId, by: 'alias', claimed: false, address: undefined })
  assert.deepEqual(resolveName('BBBBBB', book), { peerId: bob.peerId, by: 'prefix', claimed: false, address: undefined })
  assert.deepEqual(resolveName('node-beta', book), { peerId: bob.peerId, by: 'name', claimed: false, address: undefined })
  assert.deepEqual(resolveName('worker', book), { peerId: bob.peerId, by: 'label', claimed: false, address: undefined })
  assert.deepEqual(resolveName('stranger', book), { peerId: id('DDDDDDd'), by: 'name', claimed: true, address: undefined })
})

test('a paired peer wins over a stranger who claims its name', () => {
  assert.equal(resolveName('agent-001', book).peerId, alice.peerId)
})

test('an own alias wins over the name of another paired peer', () => {
  const paired = [{ ...alice, alias: 'node-beta' }, bob]
  assert.equal(resolveName('node-beta', { ...book, paired }).peerId, alice.peerId)
})

test('several strangers with one name are ambiguous, with the candidates', () => {
  assert.throws(
    () => resolveName('twin', book),
    (error) => isMeshError(error, 'NAME_AMBIGUOUS') && assert.deepEqual(error.details['candidates'], [id('EEEEEEe'), id('FFFFFFf')]) === undefined
  )
})

test('a prefix counts from the part of the id that differs, in six characters or more, among paired peers only', () => {
  assert.throws(() => resolveName('12D3KooW', book), failure('PEER_UNKNOWN'))
  assert.throws(() => resolveName('AAAAA', book), failure('PEER_UNKNOWN'))
  assert.throws(() => resolveName('DDDDDD', book), failure('PEER_UNKNOWN'))
  assert.equal(resolveName('12D3KooWAAAAAA', book).peerId, alice.peerId)
  const twins = [alice, { ...bob, peerId: id('AAAAAAb') }]
  assert.throws(() => resolveName('AAAAAA', { ...book, paired: twins }), failure('NAME_AMBIGUOUS'))
  assert.equal(resolveName('AAAAAAb', { ...book, paired: twins }).peerId, id('AAAAAAb'))
})

test('a short id as it is shown means the peer whose id ends so: a paired one, and only for show a stranger', () => {
  const known = { ...book, paired: [{ ...alice, peerId: id('A').slice(0, -8).concat('gu8UwZdi') }, bob] }
  for (const text of ['…gu8UwZdi', '...gu8UwZdi']) assert.deepEqual(resolveName(text, known), { ...resolveName('alice', known), by: 'short-id' })
  for (const text of ['gu8UwZdi', '…u8UwZdi', '…gu8UwZd0', '….gu8UwZdi']) assert.throws(() => resolveName(text, known), failure('PEER_UNKNOWN'))
  const stranger = { peerId: id('C').slice(0, -8).concat('9u8UwZdi'), name: '', labels: [] }
  const claimed = resolveName('…9u8UwZdi', { paired: [], claims: [stranger] })
  assert.deepEqual([claimed.peerId, claimed.claimed], [stranger.peerId, true])
  const twin = { ...stranger, peerId: id('D').slice(0, -8).concat('9u8UwZdi') }
  assert.throws(() => resolveName('…9u8UwZdi', { paired: [], claims: [stranger, twin] }), failure('NAME_AMBIGUOUS'))
  assert.throws(() => resolveName('…xxxxxxxx', { ...book, paired: [alice, bob] }), failure('NAME_AMBIGUOUS'))
})

test('a whole peer id and a multiaddr mean themselves, paired or not', () => {
  assert.deepEqual(resolveName(id('Z'), book), { peerId: id('Z'), by: 'peer-id', claimed: false, address: undefined })
  const address = `/ip4/192.0.2.1/tcp/9000/p2p/${id('Z')}`
  assert.deepEqual(resolveName(address, book), { peerId: id('Z'), by: 'address', claimed: false, address })
  assert.throws(() => resolveName('/ip4/192.0.2.1/tcp/9000', book), failure('ADDRESS_INVALID'))
})

test('an unknown name comes with the nearest ones, the nearest first', () => {
  assert.throws(
    () => resolveName('agent-01', book),
    (error) => isMeshError(error, 'PEER_UNKNOWN') && assert.deepEqual(error.details['nearest'], ['agent-001']) === undefined
  )
  assert.throws(
    () => resolveName('quite-another', book),
    (error) => isMeshError(error, 'PEER_UNKNOWN') && assert.deepEqual(error.details['nearest'], []) === undefined
  )
})

test('names of object properties and the empty name are just unknown', () => {
  for (const name of ['__proto__', 'constructor', 'toString', '']) assert.throws(() => resolveName(name, book), failure('PEER_UNKNOWN'))
})
