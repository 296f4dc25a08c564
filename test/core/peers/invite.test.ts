import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMeshError, wallMillis } from '../../../src/core/base/index.ts'
import { type Invite, checkInvite, decodeInvite, encodeInvite, inviteIdOf, inviteLimits } from '../../../src/core/peers/index.ts'
import { keyOfPeerIdText, peerIdText } from '../../../src/core/peers/peer-id-text.ts'
import { peerIdOfKey } from '../../../src/mesh/peer-keys.ts'
import { network, seeded, signerOf } from './support.ts'

const addresses = ['/ip4/192.0.2.7/tcp/9000', '/ip4/192.0.2.7/tcp/9001/ws', '/ip6/2001:db8::7/tcp/9000', '/dns4/node.example.org/tcp/9000']
const invite: Invite = {
  network,
  publicKey: signerOf('invite').publicKey,
  secret: seeded('secret').bytes(16),
  expiresAt: wallMillis(1_800_000_000_000),
  addresses
}
const failure = (code: string) => (error: unknown) => isMeshError(error) && error.code === code

test('an invite is one word of at most 300 characters and comes back as it was', () => {
  const text = encodeInvite(invite)
  assert.match(text, /^smi1[A-Za-z0-9_-]+$/)
  assert.ok(text.length <= inviteLimits.characters)
  assert.deepEqual(decodeInvite(text), invite)
  assert.deepEqual(decodeInvite(`  ${text}\n`), invite)
})

test('addresses that do not fit are left out, the last first, even with the longest network name', () => {
  const many = Array.from({ length: 20 }, (_, index) => `/dns4/${'a'.repeat(50)}${index}.example.org/tcp/9000`)
  const text = encodeInvite({ ...invite, network: 'n'.repeat(40), addresses: many })
  assert.ok(text.length <= 300)
  assert.deepEqual(decodeInvite(text).addresses, many.slice(0, decodeInvite(text).addresses.length))
})

test('eight IPv4 addresses fit', () => {
  const many = Array.from({ length: 8 }, (_, index) => `/ip4/192.0.2.${index}/tcp/9000`)
  assert.deepEqual(decodeInvite(encodeInvite({ ...invite, addresses: many })).addresses, many)
})

test('every altered character, every cut and every addition is INVITE_INVALID or another version', () => {
  const text = encodeInvite(invite)
  for (let index = 0; index < text.length; index++) {
    const other = text[index] === 'A' ? 'B' : 'A'
    const altered = text.slice(0, index) + other + text.slice(index + 1)
    assert.throws(() => decodeInvite(altered), failure('INVITE_INVALID'), `character ${index}`)
    assert.throws(() => decodeInvite(text.slice(0, index)), failure('INVITE_INVALID'), `cut at ${index}`)
  }
  for (const added of ['A', 'AAAA', '=', '\u0000', ' x']) assert.throws(() => decodeInvite(text + added), failure('INVITE_INVALID'))
  assert.throws(() => decodeInvite('A'.repeat(1_000_000)), failure('INVITE_INVALID'))
})

test('an invite for another network and an expired one are named so', () => {
  const now = wallMillis(1_700_000_000_000)
  assert.doesNotThrow(() => checkInvite(invite, { network, now }))
  assert.throws(() => checkInvite(invite, { network: 'elsewhere', now }), failure('NETWORK_MISMATCH'))
  assert.throws(() => checkInvite(invite, { network, now: invite.expiresAt }), failure('INVITE_EXPIRED'))
})

test('the id of an invite does not contain its secret', () => {
  assert.equal(inviteIdOf(invite.secret).length, 8)
  assert.notDeepEqual(inviteIdOf(invite.secret), invite.secret.slice(0, 8))
})

test('three addresses over relays fit beside one of the inviter itself', () => {
  const relays = ['a', 'b'].map((name) => peerIdText(signerOf(name).publicKey))
  const atRelays = [
    `/ip4/192.0.2.1/tcp/443/ws/p2p/${relays[0]}/p2p-circuit`,
    `/ip4/192.0.2.2/tcp/443/ws/p2p/${relays[1]}/p2p-circuit`,
    `/ip4/192.0.2.1/tcp/9000/p2p/${relays[0]}/p2p-circuit`
  ]
  const wanted = [...atRelays, '/ip4/10.0.0.2/tcp/9000']
  assert.deepEqual(decodeInvite(encodeInvite({ ...invite, network: 'main', addresses: wanted })).addresses, wanted)
  const named = [`/dns4/relay.example.org/tcp/443/ws/p2p/${relays[0]}/p2p-circuit`, '/ip4/192.0.2.1/tcp/9000/p2p/nobody/p2p-circuit']
  assert.deepEqual(decodeInvite(encodeInvite({ ...invite, addresses: named })).addresses, named)
})

test('the text of a peer id is that of libp2p, and back', () => {
  for (const name of ['one', 'two', 'three']) {
    const { publicKey } = signerOf(name)
    const text = peerIdOfKey(publicKey)
    assert.deepEqual([peerIdText(publicKey), keyOfPeerIdText(text)], [text, publicKey])
  }
  const text = peerIdOfKey(signerOf('one').publicKey)
  for (const other of ['', 'x', text.slice(1), `${text}1`, `1${text.slice(1, -1)}`, text.replace('12D3', '12D4'), `1${'z'.repeat(51)}`])
    assert.equal(keyOfPeerIdText(other), undefined, other)
})
